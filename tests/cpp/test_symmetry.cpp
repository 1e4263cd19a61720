#include <limits>

#include "check.h"
#include "core/symmetry.h"

using namespace kinlmm;

TEST(symmetry_finds_the_worst_pair_whatever_its_tile) {
  for (Index n : {1, 2, 63, 64, 65, 200}) {
    Matrix K = Matrix::Random(n, n);
    K = (K + K.transpose()).eval();
    CHECK(check_symmetry(K).difference == 0.0);
    CHECK_NEAR(check_symmetry(K).largest, K.cwiseAbs().maxCoeff(), 0);
    if (n < 2) continue;
    K(n - 1, 0) += 0.5;
    K(n - 1, n - 2) += 0.25;
    const Symmetry found = check_symmetry(K);
    CHECK_NEAR(found.difference, n == 2 ? 0.75 : 0.5, 1e-12);
    CHECK(found.row == n - 1 && found.column == 0);
  }
}

TEST(symmetry_counts_what_is_not_finite) {
  Matrix K = Matrix::Identity(100, 100);
  K(3, 90) = std::numeric_limits<double>::quiet_NaN();
  K(7, 7) = std::numeric_limits<double>::infinity();
  CHECK(check_symmetry(K).not_finite == 2);
  CHECK_NEAR(check_symmetry(K).largest, 1, 0);
}
