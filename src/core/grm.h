// Genomic relationship matrices in one pass over the markers.
#pragma once

#include <string>
#include <vector>

#include "core/genotypes.h"
#include "core/gram.h"
#include "core/monitor.h"
#include "core/types.h"

namespace kinlmm {

// With x copies of A1, p its frequency, q = 1 - p and h = 2pq, K = sum w z z' / sum w d:
//   centered      z = x - 2p               d = 1
//   standardized  z = (x - 2p) / sd(x)     d = 1
//   vanraden1     z = x - 2p               d = h
//   vanraden2     z = (x - 2p) / sqrt(h)   d = 1
//   dominance     z = [x = 1] - h          d = h (1 - h)
//   vitezica      z = -2pp, h, -2qq        d = h h
// z = 0 where a genotype is missing. Between whole numbers the last two are linear in x.
enum class GrmMethod {
  centered,
  standardized,
  vanraden1,
  vanraden2,
  dominance,
  vitezica
};

// The method of that name in R.
GrmMethod as_grm_method(const std::string& name);

struct GrmOptions {
  GrmMethod method = GrmMethod::centered;
  MarkerFilter filter;
  std::vector<double> weight;  // of each marker of the source, positive; none: all 1
  std::vector<Index> sizes;    // markers of each group; none: all are one
  bool leave_out = false;      // a matrix of all groups but one, for each
  bool pairwise = false;       // divide by what both samples of a pair have observed
  Index block = 0;             // markers held at a time; 0: as fits the cache
  int threads = 1;
  Instructions with = Instructions::automatic;
};

// Markers by what happened to them; each is counted once, under the first that holds.
struct GrmCounts {
  Index missing = 0;
  Index monomorphic = 0;
  Index rare = 0;
  Index hwe = 0;
  Index used = 0;
  double share = 0;  // sum of w d of those used, see GrmMethod
};

// Where a matrix goes: K and, if pairwise, numbers of markers; n x n, overwritten.
struct GrmTarget {
  double* K;
  double* observed;
};

// The markers of a block that are used: their places in it, and what their columns were
// centred by and multiplied with.
struct GrmBlock {
  std::vector<Index> from;
  std::vector<double> mean, scale;
};

// Moves the columns of G (n x b, NaN where missing) that are used to the left, imputes,
// centres and scales them. For the additive methods, without weights or pairs.
GrmBlock prepare_block(MatrixRef G, const GrmOptions& options, GrmCounts& counts);

// Fills a target for each group, whose markers follow each other in the source. Returns
// what became of the markers of each group. A matrix without a marker is zero.
std::vector<GrmCounts> grm(GenotypeSource& source, const GrmOptions& options,
                           Monitor& monitor, const std::vector<GrmTarget>& targets);

// The matrix K (n x n) of all markers, not pairwise.
GrmCounts grm(GenotypeSource& source, const GrmOptions& options, Monitor& monitor,
              MatrixRef K);

}  // namespace kinlmm
