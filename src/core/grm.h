// Genomic relationship matrices in one pass over the markers.
#pragma once

#include <vector>

#include "core/genotypes.h"
#include "core/monitor.h"
#include "core/types.h"

namespace kinlmm {

struct GrmOptions {
  bool standardized = false;  // divide each marker by its standard deviation (divisor n)
  MarkerFilter filter;
  Index block = 256;  // markers held at a time
  int threads = 1;
};

// Markers by what happened to them; each is counted once, under the first that holds.
struct GrmCounts {
  Index missing = 0;
  Index monomorphic = 0;
  Index rare = 0;
  Index hwe = 0;
  Index used = 0;
};

// The markers of a block that are used: their places in it, and what their columns were
// centred by and multiplied with.
struct GrmBlock {
  std::vector<Index> from;
  std::vector<double> mean, scale;
};

// Moves the columns of G (n x b, NaN where missing) that are used to the left, imputes,
// centres and scales them.
GrmBlock prepare_block(MatrixRef G, const GrmOptions& options, GrmCounts& counts);

// K (n x n, overwritten) = Z Z' / m, where the m columns of Z are the markers used: mean
// imputed, centred and, if asked for, scaled. K is zero if no marker is used.
GrmCounts grm(GenotypeSource& source, const GrmOptions& options, Monitor& monitor,
              MatrixRef K);

}  // namespace kinlmm
