// What the markers and the samples of a source look like.
#pragma once

#include <functional>
#include <vector>

#include "core/genotypes.h"
#include "core/monitor.h"
#include "core/types.h"

namespace kinlmm {

// Calls f(first, summaries) for one block of markers after the other.
void for_each_summary(
    GenotypeSource& source, Index block, int threads, Monitor& monitor,
    const std::function<void(Index, const std::vector<MarkerSummary>&)>& f);

// One entry per sample. Markers with dosages that are not whole are only observed or not.
struct SampleStats {
  std::vector<Index> observed;      // genotypes that are not missing
  std::vector<Index> calls;         // of these, at markers without dosages
  std::vector<Index> heterozygous;  // of the calls
  // Homozygous ones of the calls that the frequencies in the source let expect
  std::vector<double> expected;
};

SampleStats sample_stats(GenotypeSource& source, Index block, int threads,
                         Monitor& monitor);

}  // namespace kinlmm
