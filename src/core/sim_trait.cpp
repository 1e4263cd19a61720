#include "core/sim_trait.h"

#include <algorithm>

namespace kinlmm {

namespace {

// Calls f(first, G, summaries) for each block of markers, imputed.
template <class F>
void each_block(GenotypeSource& source, Index block, int threads, Monitor& monitor,
                F&& f) {
  const Index m = source.markers();
  Matrix G(source.samples(), std::min(block, m));
  for (Index first = 0; first < m; first += block) {
    const Index count = std::min(block, m - first);
    source.read(first, count, G.leftCols(count));
    f(first, G, summarise_and_impute(G.leftCols(count), threads));
    monitor.tick(first + count, m);
  }
}

}  // namespace

MarkerMoments marker_moments(GenotypeSource& source, Index block, int threads,
                             Monitor& monitor) {
  MarkerMoments out;
  out.mean.resize(source.markers());
  out.variance.resize(source.markers());
  each_block(source, block, threads, monitor,
             [&](Index first, Matrix&, const std::vector<MarkerSummary>& summaries) {
               for (std::size_t j = 0; j < summaries.size(); ++j) {
                 const MarkerSummary& s = summaries[j];
                 out.mean[first + static_cast<Index>(j)] = s.mean;
                 out.variance[first + static_cast<Index>(j)] =
                     s.monomorphic ? 0 : s.variance;
               }
             });
  return out;
}

void genetic_values(GenotypeSource& source, const ConstMatrixRef& B, Index block,
                    int threads, Monitor& monitor, MatrixRef values) {
  values.setZero();
  each_block(source, block, threads, monitor,
             [&](Index first, Matrix& G, const std::vector<MarkerSummary>& summaries) {
               const Index count = static_cast<Index>(summaries.size());
               for (Index j = 0; j < count; ++j) {
                 G.col(j).array() -= summaries[static_cast<std::size_t>(j)].mean;
               }
               values.noalias() += G.leftCols(count) * B.middleRows(first, count);
             });
}

}  // namespace kinlmm
