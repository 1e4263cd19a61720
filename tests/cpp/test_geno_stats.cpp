#include <cmath>
#include <vector>

#include "check.h"
#include "core/geno_stats.h"
#include "genotypes.h"

using namespace kinlmm;

namespace {

void check_samples(const Matrix& X, const SampleStats& s) {
  for (Index i = 0; i < X.rows(); ++i) {
    Index observed = 0, calls = 0, het = 0;
    double expected = 0;
    for (Index j = 0; j < X.cols(); ++j) {
      if (std::isnan(X(i, j))) continue;
      ++observed;
      double sum = 0, count = 0;
      bool whole = true;
      for (Index k = 0; k < X.rows(); ++k) {
        if (std::isnan(X(k, j))) continue;
        whole = whole && X(k, j) == std::round(X(k, j));
        sum += X(k, j);
        ++count;
      }
      if (!whole) continue;
      ++calls;
      het += X(i, j) == 1;
      const double p = sum / count / 2;
      expected += 1 - 2 * p * (1 - p);
    }
    CHECK(s.observed[i] == observed && s.calls[i] == calls && s.heterozygous[i] == het);
    CHECK_NEAR(s.expected[i], expected, 1e-11);
  }
}

}  // namespace

TEST(sample_stats_equal_their_definition) {
  Matrix X = counts_with_missing(31, 50, 5);
  MatrixSource source(X, all(31), all(50));
  Monitor monitor;
  for (const Index block : {1, 7, 50, 100}) {
    check_samples(X, sample_stats(source, block, 2, monitor));
  }
  X(4, 3) = X(9, 20) = 0.5;  // blocks with and without dosages
  MatrixSource dosages(X, all(31), all(50));
  for (const Index block : {1, 7, 50}) {
    check_samples(X, sample_stats(dosages, block, 2, monitor));
  }
}

TEST(summaries_come_in_order_whatever_the_block) {
  Matrix X = counts_with_missing(31, 50, 5);
  X(4, 3) = 0.5;
  MatrixSource source(X, all(31), all(50));
  Monitor monitor;
  Matrix copy = X;
  const auto expected = summarise_and_impute(copy, 1);
  for (const Index block : {1, 7, 50, 100}) {
    std::vector<MarkerSummary> got;
    for_each_summary(source, block, 2, monitor,
                     [&](Index first, const std::vector<MarkerSummary>& of) {
                       CHECK(first == static_cast<Index>(got.size()));
                       got.insert(got.end(), of.begin(), of.end());
                     });
    CHECK(got.size() == 50);
    for (std::size_t j = 0; j < got.size(); ++j) {
      CHECK(got[j].observed == expected[j].observed);
      CHECK(got[j].counts == expected[j].counts);
      CHECK_NEAR(got[j].mean, expected[j].mean, 1e-15);
    }
  }
}

TEST(statistics_of_nothing) {
  const Matrix X(0, 3), Y(3, 0);
  MatrixSource no_samples(X, {}, all(3)), no_markers(Y, all(3), {});
  Monitor monitor;
  CHECK(sample_stats(no_samples, 2, 2, monitor).observed.empty());
  CHECK(sample_stats(no_markers, 2, 2, monitor).observed[2] == 0);
}
