#include "core/genotypes.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/parallel.h"

namespace kinlmm {

namespace {

MarkerSummary summarise_column(double* x, Index n) {
  MarkerSummary s;
  double sum = 0, squares = 0;
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (Index i = 0; i < n; ++i) {
    if (std::isnan(x[i])) continue;
    ++s.observed;
    sum += x[i];
    low = std::min(low, x[i]);
    high = std::max(high, x[i]);
  }
  s.monomorphic = !(low < high);
  if (s.observed > 0) s.mean = sum / static_cast<double>(s.observed);
  for (Index i = 0; i < n; ++i) {
    if (std::isnan(x[i])) x[i] = s.mean;
    squares += (x[i] - s.mean) * (x[i] - s.mean);
  }
  if (n > 0) s.variance = squares / static_cast<double>(n);
  return s;
}

}  // namespace

void MatrixSource::read(Index first, Index count, MatrixRef out) {
  for (Index j = 0; j < count; ++j) {
    const double* column = X_.col(markers_[first + j]).data();
    for (std::size_t i = 0; i < samples_.size(); ++i) out(i, j) = column[samples_[i]];
  }
}

bool MatrixSource::read_counts(Index first, Index count, std::uint8_t* out) {
  for (Index j = 0; j < count; ++j) {
    const double* column = X_.col(markers_[first + j]).data();
    for (const Index i : samples_) {
      const double x = column[i];
      if (!std::isnan(x) && x != 0 && x != 1 && x != 2) return false;
      *out++ = std::isnan(x) ? kMissingCount : static_cast<std::uint8_t>(x);
    }
  }
  return true;
}

std::vector<MarkerSummary> summarise_and_impute(MatrixRef G, int threads) {
  std::vector<MarkerSummary> out(static_cast<std::size_t>(G.cols()));
  parallel_for(G.cols(), threads,
               [&](Index j) { out[j] = summarise_column(G.col(j).data(), G.rows()); });
  return out;
}

}  // namespace kinlmm
