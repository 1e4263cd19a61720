#include "core/grm.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/lapack.h"
#include "core/parallel.h"

namespace kinlmm {

namespace {

// The count that a marker belongs to.
Index GrmCounts::*count_of(MarkerFate fate) {
  constexpr Index GrmCounts::*kCounts[] = {&GrmCounts::used, &GrmCounts::missing,
                                           &GrmCounts::monomorphic, &GrmCounts::rare,
                                           &GrmCounts::hwe};
  return kCounts[static_cast<int>(fate)];
}

// Scales the lower triangle of K and copies it to the upper one, by tiles that fit the
// cache.
void finish(MatrixRef K, double scale, int threads) {
  constexpr Index kTile = 64;
  const Index n = K.rows(), tiles = (n + kTile - 1) / kTile;
  parallel_for(tiles, threads, [&](Index tile) {
    const Index first = tile * kTile, last = std::min(n, first + kTile);
    for (Index top = first; top < n; top += kTile) {
      for (Index j = first; j < last; ++j) {
        for (Index i = std::max(j, top); i < std::min(n, top + kTile); ++i) {
          K(i, j) *= scale;
          K(j, i) = K(i, j);
        }
      }
    }
  });
}

}  // namespace

GrmBlock prepare_block(MatrixRef G, const GrmOptions& options, GrmCounts& counts) {
  const auto summaries = summarise_and_impute(G, options.threads);
  GrmBlock block;
  for (Index j = 0; j < G.cols(); ++j) {
    const MarkerSummary& s = summaries[j];
    const MarkerFate outcome = fate(s, G.rows(), options.filter);
    ++(counts.*count_of(outcome));
    if (outcome != MarkerFate::used) continue;
    block.from.push_back(j);
    block.mean.push_back(s.mean);
    block.scale.push_back(options.standardized ? 1 / std::sqrt(s.variance) : 1);
  }
  const Index kept = static_cast<Index>(block.from.size());
  for (Index k = 0; k < kept; ++k) {
    if (block.from[k] != k) G.col(k) = G.col(block.from[k]);
  }
  parallel_for(kept, options.threads, [&](Index k) {
    G.col(k).array() = (G.col(k).array() - block.mean[k]) * block.scale[k];
  });
  return block;
}

GrmCounts grm(GenotypeSource& source, const GrmOptions& options, Monitor& monitor,
              MatrixRef K) {
  const Index n = source.samples(), m = source.markers();
  GrmCounts counts;
  K.setZero();
  Matrix G(n, std::min(options.block, m));  // n x block
  for (Index first = 0; first < m; first += options.block) {
    const Index count = std::min(options.block, m - first);
    source.read(first, count, G.leftCols(count));
    const GrmBlock used = prepare_block(G.leftCols(count), options, counts);
    const Index kept = static_cast<Index>(used.from.size());
    if (kept > 0) lapack::syrk(1, G.leftCols(kept), 1, K);
    monitor.tick(first + count, m);
  }
  if (counts.used > 0) finish(K, 1 / static_cast<double>(counts.used), options.threads);
  return counts;
}

}  // namespace kinlmm
