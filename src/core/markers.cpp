#include "core/markers.h"

#include <algorithm>
#include <cmath>

#include "core/lapack.h"

namespace kinlmm {

namespace {

void append(std::vector<double>& to, const std::vector<double>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

// Markers first, ..., first + count - 1 into G, centred and scaled.
void read_scaled(GenotypeSource& source, const MarkerScale& by, Index first, Index count,
                 MatrixRef G) {
  source.read(first, count, G);
  for (Index j = 0; j < count; ++j) {
    const double mean = by.mean[first + j], scale = by.scale[first + j];
    G.col(j) = G.col(j).unaryExpr(
        [=](double x) { return std::isnan(x) ? 0 : (x - mean) * scale; });
  }
}

}  // namespace

MarkerProducts marker_products(GenotypeSource& source, const GrmOptions& options,
                               const ConstMatrixRef& A, Monitor& monitor) {
  const Index n = source.samples(), m = source.markers();
  MarkerProducts out;
  out.values = Matrix::Zero(n, A.cols());
  Matrix effects(A.cols(), m);  // c x m, the markers used first
  Matrix G(n, std::min(options.block, m));
  Index total = 0;
  for (Index first = 0; first < m; first += options.block) {
    const Index count = std::min(options.block, m - first);
    source.read(first, count, G.leftCols(count));
    const GrmBlock block = prepare_block(G.leftCols(count), options, out.counts);
    const Index kept = static_cast<Index>(block.from.size());
    if (kept > 0) {
      const auto W = G.leftCols(kept);
      auto part = effects.middleCols(total, kept);
      lapack::gemm(true, false, 1, A, W, 0, part);
      lapack::gemm(false, true, 1, W, part, 1, out.values);
    }
    for (const Index j : block.from) out.used.push_back(first + j);
    append(out.mean, block.mean);
    append(out.scale, block.scale);
    total += kept;
    monitor.tick(first + count, m);
  }
  out.effects = effects.leftCols(total).transpose();
  return out;
}

MarkerScores score_markers(GenotypeSource& source, const Vector& mean,
                           const Vector& effect, Index block, Monitor& monitor) {
  const Index n = source.samples(), m = source.markers();
  MarkerScores out;
  out.values = Vector::Zero(n);
  out.observed.assign(static_cast<std::size_t>(n), 0);
  Matrix G(n, std::min(block, m));
  for (Index first = 0; first < m; first += block) {
    const Index count = std::min(block, m - first);
    source.read(first, count, G.leftCols(count));
    for (Index j = 0; j < count; ++j) {
      for (Index i = 0; i < n; ++i) {
        if (std::isnan(G(i, j))) continue;
        ++out.observed[static_cast<std::size_t>(i)];
        out.values[i] += (G(i, j) - mean[first + j]) * effect[first + j];
      }
    }
    monitor.tick(first + count, m);
  }
  return out;
}

CrossKernel cross_kernel(GenotypeSource& rows, const MarkerScale& row_scale,
                         GenotypeSource& columns, const MarkerScale& column_scale,
                         Index block, Monitor& monitor) {
  const Index m = rows.markers();
  CrossKernel out;
  out.K = Matrix::Zero(rows.samples(), columns.samples());
  out.diagonal = Vector::Zero(rows.samples());
  Matrix R(rows.samples(), std::min(block, m)), C(columns.samples(), std::min(block, m));
  for (Index first = 0; first < m; first += block) {
    const Index count = std::min(block, m - first);
    read_scaled(rows, row_scale, first, count, R.leftCols(count));
    read_scaled(columns, column_scale, first, count, C.leftCols(count));
    lapack::gemm(false, true, 1, R.leftCols(count), C.leftCols(count), 1, out.K);
    out.diagonal += R.leftCols(count).rowwise().squaredNorm();
    monitor.tick(first + count, m);
  }
  return out;
}

}  // namespace kinlmm
