#include <cmath>
#include <cstdint>
#include <vector>

#include "check.h"
#include "core/genotypes.h"
#include "genotypes.h"

using namespace kinlmm;

TEST(summary_of_a_marker_with_missing_genotypes) {
  Matrix G(4, 1);
  G << 2, kMissing, 1, 0;
  const auto s = summarise_and_impute(G, 1);
  CHECK(s[0].observed == 3 && s[0].mean == 1 && !s[0].monomorphic);
  CHECK_NEAR(s[0].variance, 0.5, 1e-15);
  CHECK(G(1, 0) == 1 && G(0, 0) == 2);
}

TEST(summary_finds_monomorphic_markers) {
  Matrix G(3, 4);
  G << 1, kMissing, 0, 1.5, 1, kMissing, 0, 1.5, 1, kMissing, kMissing, 1.25;
  const auto s = summarise_and_impute(G, 2);
  CHECK(s[0].monomorphic && s[0].variance == 0);
  CHECK(s[1].monomorphic && s[1].observed == 0 && s[1].mean == 0);
  CHECK(s[2].monomorphic && s[2].observed == 2);
  CHECK(!s[3].monomorphic);
  CHECK(G.allFinite());
}

TEST(summary_does_not_depend_on_threads) {
  Matrix one = 1 + Matrix::Random(101, 37).array();
  one(3, 5) = one(50, 5) = one(0, 36) = kMissing;
  Matrix four = one;
  const auto a = summarise_and_impute(one, 1), b = summarise_and_impute(four, 4);
  for (std::size_t j = 0; j < a.size(); ++j) {
    CHECK(a[j].mean == b[j].mean && a[j].variance == b[j].variance);
  }
  CHECK(one == four);
}

TEST(summary_of_no_samples) {
  Matrix G(0, 2);
  const auto s = summarise_and_impute(G, 1);
  CHECK(s.size() == 2 && s[1].monomorphic && s[1].variance == 0);
}

TEST(matrix_source_takes_any_order_and_repeats) {
  const Matrix X = Matrix::Random(6, 5);
  MatrixSource source(X, {5, 0, 0}, {4, 2, 2, 0});
  CHECK(source.samples() == 3 && source.markers() == 4);
  Matrix out(3, 2);
  source.read(2, 2, out);
  CHECK(out(0, 0) == X(5, 2) && out(2, 0) == X(0, 2) && out(1, 1) == X(0, 0));
}

TEST(summary_of_counts_is_that_of_the_numbers) {
  // more than one run of words, and every remainder by eight
  for (const Index n : {1, 7, 8, 9, 64, 2047, 2048, 6125}) {
    Matrix X = counts_with_missing(n, 12, 3);
    X.col(7).setConstant(kMissing);
    MatrixSource source(X, all(n), all(12));
    std::vector<std::uint8_t> counts(static_cast<std::size_t>(12 * n));
    CHECK(source.read_counts(0, 12, counts.data()));
    const auto got = summarise_counts(counts.data(), n, 12, 2);
    const auto expected = summarise_and_impute(X, 1);
    for (std::size_t j = 0; j < 12; ++j) {
      const MarkerSummary &a = got[j], &b = expected[j];
      CHECK(a.observed == b.observed && a.monomorphic == b.monomorphic);
      CHECK(a.counts == b.counts && a.whole() && b.whole());
      CHECK_NEAR(a.mean, b.mean, 1e-15);
      CHECK_NEAR(a.variance, b.variance, 1e-12);
    }
  }
}

TEST(summary_of_dosages_has_no_counts) {
  Matrix G(3, 1);
  G << 2, kMissing, 0.5;
  const auto s = summarise_and_impute(G, 1);
  CHECK(!s[0].whole() && s[0].counts[2] == 0 && s[0].observed == 2);
}

TEST(fate_is_the_first_that_holds) {
  MarkerSummary s;
  s.counts = {45, 10, 45};
  s.observed = 100;
  s.mean = 1;
  s.monomorphic = false;
  CHECK(fate(s, 100, {}) == MarkerFate::used);
  CHECK(fate(s, 100, {0.5, 0, 1e-6}) == MarkerFate::hwe);
  CHECK(fate(s, 100, {0.5, 0, 1e-30}) == MarkerFate::used);
  CHECK(fate(s, 105, {0.5, 5.0 / 105, 0}) == MarkerFate::used);
  CHECK(fate(s, 106, {0.5, 0.05, 1}) == MarkerFate::missing);
  s.counts = {};  // a dosage
  CHECK(fate(s, 100, {0, 0, 1}) == MarkerFate::used);
  s.mean = 1.9;
  CHECK(fate(s, 100, {0.06, 1, 1}) == MarkerFate::rare);
  s.monomorphic = true;
  CHECK(fate(s, 100, {0.06, 1, 1}) == MarkerFate::monomorphic);
}
