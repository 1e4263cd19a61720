#include "core/geno_stats.h"

#include <algorithm>
#include <cstdint>

#include "core/parallel.h"

namespace kinlmm {

namespace {

constexpr Index kSamplesPerTask = 4096;

using Counts = std::vector<std::uint8_t>;

// Whole numbers as they are; no if there are others, of which only the missing are told.
bool as_counts(const double* x, Index n, std::uint8_t* out) {
  bool whole = true;
  for (Index i = 0; i < n; ++i) {
    if (as_count(x[i], out[i])) continue;
    whole = false;
    out[i] = 0;
  }
  return whole;
}

void add_marker(const std::uint8_t* x, Index first, Index last, bool whole,
                double expected, SampleStats& to) {
  for (Index i = first; i < last; ++i) {
    const bool observed = x[i] != kMissingCount;
    to.observed[i] += observed;
    if (!whole) continue;
    to.calls[i] += observed;
    to.heterozygous[i] += x[i] == 1;
    to.expected[i] += observed ? expected : 0;
  }
}

}  // namespace

void for_each_summary(
    GenotypeSource& source, Index block, int threads, Monitor& monitor,
    const std::function<void(Index, const std::vector<MarkerSummary>&)>& f) {
  const Index n = source.samples(), m = source.markers();
  Counts counts(static_cast<std::size_t>(n * std::min(block, m)));
  Matrix G;  // n x block, only where there are dosages
  for (Index first = 0; first < m; first += block) {
    const Index count = std::min(block, m - first);
    if (source.read_counts(first, count, counts.data())) {
      f(first, summarise_counts(counts.data(), n, count, threads));
    } else {
      G.resize(n, count);
      source.read(first, count, G);
      f(first, summarise_and_impute(G, threads));
    }
    monitor.tick(first + count, m);
  }
}

SampleStats sample_stats(GenotypeSource& source, Index block, int threads,
                         Monitor& monitor) {
  const Index n = source.samples(), m = source.markers();
  SampleStats out;
  for (auto* x : {&out.observed, &out.calls, &out.heterozygous}) x->assign(n, 0);
  out.expected.assign(n, 0);
  Counts counts(static_cast<std::size_t>(n * std::min(block, m)));
  Matrix G;
  for (Index first = 0; first < m; first += block) {
    const Index count = std::min(block, m - first);
    Counts whole(static_cast<std::size_t>(count), 1);
    if (!source.read_counts(first, count, counts.data())) {
      G.resize(n, count);
      source.read(first, count, G);
      parallel_for(count, threads, [&](Index j) {
        whole[j] = as_counts(G.col(j).data(), n, counts.data() + j * n);
      });
    }
    const auto summaries = summarise_counts(counts.data(), n, count, threads);
    const Index tasks = (n + kSamplesPerTask - 1) / kSamplesPerTask;
    parallel_for(tasks, threads, [&](Index task) {
      const Index from = task * kSamplesPerTask, to = std::min(n, from + kSamplesPerTask);
      for (Index j = 0; j < count; ++j) {
        const double p = summaries[j].mean / 2;
        add_marker(counts.data() + j * n, from, to, whole[j], 1 - 2 * p * (1 - p), out);
      }
    });
    monitor.tick(first + count, m);
  }
  return out;
}

}  // namespace kinlmm
