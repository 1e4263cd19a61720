// What simulated traits need of genotypes.
#pragma once

#include <vector>

#include "core/genotypes.h"
#include "core/monitor.h"
#include "core/types.h"

namespace kinlmm {

// Mean and variance (divisor n, missing genotypes at the mean) of every marker; the
// variance is 0 where all observed genotypes are equal.
struct MarkerMoments {
  Vector mean, variance;  // m
};
MarkerMoments marker_moments(GenotypeSource& source, Index block, int threads,
                             Monitor& monitor);

// values (n x t) = G B, G the centred genotypes (missing ones 0), B: m x t.
void genetic_values(GenotypeSource& source, const ConstMatrixRef& B, Index block,
                    int threads, Monitor& monitor, MatrixRef values);

}  // namespace kinlmm
