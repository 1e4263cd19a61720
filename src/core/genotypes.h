// Genotypes by blocks of markers, wherever they are stored, and what is computed per
// marker.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "core/types.h"

namespace kinlmm {

// What read_counts() says of a missing genotype.
constexpr std::uint8_t kMissingCount = 3;

// A genotype as read_counts() has it; no if it is a dosage.
inline bool as_count(double x, std::uint8_t& count) {
  count = x == 0 ? 0 : x == 1 ? 1 : x == 2 ? 2 : kMissingCount;
  return count != kMissingCount || std::isnan(x);
}

// A source of markers: the number of copies of the effect allele (A1), NaN where missing.
// It is read from the main thread only: some ask R.
class GenotypeSource {
 public:
  virtual ~GenotypeSource() = default;
  virtual Index samples() const = 0;
  virtual Index markers() const = 0;
  // Fills out (samples() x count) with markers first, ..., first + count - 1.
  virtual void read(Index first, Index count, MatrixRef out) = 0;
  // The same as whole numbers, 0, 1, 2 or kMissingCount (samples() x count, by column).
  // No if any of these genotypes is none of them: a dosage; out is then unspecified.
  virtual bool read_counts(Index first, Index count, std::uint8_t* out) = 0;
};

// Markers in the columns of a dosage matrix X (n x m, NaN where missing), which must
// outlive the source. samples, markers: 0-based rows and columns of X, in any order.
class MatrixSource : public GenotypeSource {
 public:
  MatrixSource(const ConstMatrixRef& X, std::vector<Index> samples,
               std::vector<Index> markers)
      : X_(X), samples_(std::move(samples)), markers_(std::move(markers)) {}

  Index samples() const override { return static_cast<Index>(samples_.size()); }
  Index markers() const override { return static_cast<Index>(markers_.size()); }
  void read(Index first, Index count, MatrixRef out) override;
  bool read_counts(Index first, Index count, std::uint8_t* out) override;

 private:
  ConstMatrixRef X_;
  std::vector<Index> samples_, markers_;
};

// What one marker looks like among the samples of a block.
struct MarkerSummary {
  Index observed = 0;       // samples with a genotype
  double mean = 0;          // mean count of A1 over them; its half is the frequency of A1
  double variance = 0;      // of the counts after mean imputation, divisor n
  bool monomorphic = true;  // all observed counts are equal, or none is observed
  // samples with 0, 1 and 2 copies of A1; zero if some count is no whole number
  std::array<Index, 3> counts{};

  bool whole() const { return counts[0] + counts[1] + counts[2] == observed; }
};

// Which markers are used, by what they look like among the samples at hand.
struct MarkerFilter {
  double maf = 0;      // smallest frequency of the rarer allele
  double missing = 1;  // largest share of missing genotypes
  double hwe = 0;      // smallest p of the exact test of Hardy-Weinberg proportions
};

// What becomes of a marker: the first that holds. The order is known to R/geno-filter.R.
enum class MarkerFate { used, missing, monomorphic, rare, hwe };

// Of a marker of n samples. One with dosages that are not whole has no test for hwe.
MarkerFate fate(const MarkerSummary& summary, Index n, const MarkerFilter& filter);

// Summarises each column of G (n x b) and replaces its NaN by the column's mean.
std::vector<MarkerSummary> summarise_and_impute(MatrixRef G, int threads);

// Summarises each column of counts (n x m, see GenotypeSource::read_counts).
std::vector<MarkerSummary> summarise_counts(const std::uint8_t* counts, Index n, Index m,
                                            int threads);

}  // namespace kinlmm
