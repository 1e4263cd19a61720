#include <cmath>

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
