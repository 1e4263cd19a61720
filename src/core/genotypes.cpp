#include "core/genotypes.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/hwe.h"
#include "core/parallel.h"

namespace kinlmm {

namespace {

constexpr double kRounding = 1e-12;  // relative; of frequencies

MarkerSummary summarise_column(double* x, Index n) {
  MarkerSummary s;
  double sum = 0, squares = 0;
  double low = std::numeric_limits<double>::infinity(), high = -low;
  bool whole = true;
  for (Index i = 0; i < n; ++i) {
    if (std::isnan(x[i])) continue;
    ++s.observed;
    if (x[i] == 0 || x[i] == 1 || x[i] == 2) {
      ++s.counts[static_cast<std::size_t>(x[i])];
    } else {
      whole = false;
    }
    sum += x[i];
    low = std::min(low, x[i]);
    high = std::max(high, x[i]);
  }
  if (!whole) s.counts = {};
  s.monomorphic = !(low < high);
  if (s.observed > 0) s.mean = sum / static_cast<double>(s.observed);
  for (Index i = 0; i < n; ++i) {
    if (std::isnan(x[i])) x[i] = s.mean;
    squares += (x[i] - s.mean) * (x[i] - s.mean);
  }
  if (n > 0) s.variance = squares / static_cast<double>(n);
  return s;
}

// The sum of eight bytes.
Index sum_bytes(std::uint64_t word) {
  constexpr std::uint64_t kEven = 0x00ff00ff00ff00ff;
  const std::uint64_t pairs = (word & kEven) + (word >> 8 & kEven);
  return static_cast<Index>(pairs * 0x0001000100010001 >> 48);
}

// How many of n counts are 0, 1, 2 and missing, eight of them at a time.
std::array<Index, 4> tally(const std::uint8_t* x, Index n) {
  constexpr std::uint64_t kOne = 0x0101010101010101;
  constexpr Index kRun = 255;  // words before a byte of a sum may be full
  Index low = 0, high = 0, both = 0, i = 0;
  while (i + 8 <= n) {
    std::uint64_t lows = 0, highs = 0, boths = 0;
    const Index end = std::min(n - 7, i + 8 * kRun);
    for (; i < end; i += 8) {
      std::uint64_t word;
      std::memcpy(&word, x + i, 8);
      lows += word & kOne;
      highs += word >> 1 & kOne;
      boths += word & word >> 1 & kOne;
    }
    low += sum_bytes(lows);
    high += sum_bytes(highs);
    both += sum_bytes(boths);
  }
  for (; i < n; ++i) {
    low += x[i] & 1;
    high += x[i] >> 1;
    both += x[i] == kMissingCount;
  }
  return {n - low - high + both, low - both, high - both, both};
}

MarkerSummary summarise_whole(const std::uint8_t* x, Index n) {
  const auto of = tally(x, n);
  MarkerSummary s;
  s.counts = {of[0], of[1], of[2]};
  s.observed = n - of[kMissingCount];
  s.monomorphic = std::max({of[0], of[1], of[2]}) == s.observed;
  if (s.observed == 0) return s;
  const double observed = static_cast<double>(s.observed);
  const double sum = static_cast<double>(of[1] + 2 * of[2]);
  const double squares = static_cast<double>(of[1] + 4 * of[2]);
  s.mean = sum / observed;
  s.variance = (observed * squares - sum * sum) / observed / static_cast<double>(n);
  return s;
}

}  // namespace

MarkerFate fate(const MarkerSummary& s, Index n, const MarkerFilter& filter) {
  const double missing = static_cast<double>(n - s.observed) / static_cast<double>(n);
  if (missing > filter.missing) return MarkerFate::missing;
  if (s.monomorphic) return MarkerFate::monomorphic;
  // 1 - 0.9 is less than 0.1, but either allele may be the one counted
  if (std::min(s.mean, 2 - s.mean) / 2 < filter.maf * (1 - kRounding)) {
    return MarkerFate::rare;
  }
  if (filter.hwe > 0 && s.whole() && hwe_p(s.counts, false) < filter.hwe) {
    return MarkerFate::hwe;
  }
  return MarkerFate::used;
}

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
      if (!as_count(column[i], *out++)) return false;
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

std::vector<MarkerSummary> summarise_counts(const std::uint8_t* counts, Index n, Index m,
                                            int threads) {
  std::vector<MarkerSummary> out(static_cast<std::size_t>(m));
  parallel_for(m, threads, [&](Index j) { out[j] = summarise_whole(counts + j * n, n); });
  return out;
}

}  // namespace kinlmm
