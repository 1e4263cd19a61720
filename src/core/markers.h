// A kernel of markers from its other side: the effects of the markers, what they predict,
// and the kernel between two sets of samples.
#pragma once

#include <vector>

#include "core/genotypes.h"
#include "core/grm.h"
#include "core/monitor.h"
#include "core/types.h"

namespace kinlmm {

// Of the markers used, with W (n x used) their centred and scaled columns, see grm().
struct MarkerProducts {
  GrmCounts counts;
  std::vector<Index> used;          // places among the markers of the source
  std::vector<double> mean, scale;  // by which the columns were centred and multiplied
  Matrix effects;                   // used x c, W'A
  Matrix values;                    // n x c, W W'A
};

// A: n x c.
MarkerProducts marker_products(GenotypeSource& source, const GrmOptions& options,
                               const ConstMatrixRef& A, Monitor& monitor);

struct MarkerScores {
  Vector values;                // n, the sum over markers of (x - mean) * effect
  std::vector<Index> observed;  // n, genotypes that are not missing
};

// mean, effect: one per marker of the source. Missing genotypes are the mean.
MarkerScores score_markers(GenotypeSource& source, const Vector& mean,
                           const Vector& effect, Index block, Monitor& monitor);

// Centres and scales of markers; a missing genotype is the centre.
struct MarkerScale {
  Vector mean, scale;  // one per marker
};

struct CrossKernel {
  Matrix K;         // n1 x n2, Z1 Z2'
  Vector diagonal;  // n1, the diagonal of Z1 Z1'
};

// Of the same markers in two sources, in the same order.
CrossKernel cross_kernel(GenotypeSource& rows, const MarkerScale& row_scale,
                         GenotypeSource& columns, const MarkerScale& column_scale,
                         Index block, Monitor& monitor);

}  // namespace kinlmm
