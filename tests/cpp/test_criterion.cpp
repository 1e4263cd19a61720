#include <cmath>

#include "check.h"
#include "core/criterion.h"
#include "reference.h"

using namespace kinlmm;

TEST(fixed_effects_of_a_moment_matrix) {
  std::srand(1);
  const Matrix X = Matrix::Random(20, 3);
  const Vector y = Vector::Random(20);
  Matrix Xy(20, 4);
  Xy << X, y;
  const ProfiledFixed fixed = profiled_fixed(Xy.transpose() * Xy);
  const Vector b = X.colPivHouseholderQr().solve(y);
  CHECK_NEAR((fixed.beta - b).norm(), 0, 1e-12);
  CHECK_NEAR(fixed.s, (y - X * b).squaredNorm(), 1e-12);
  CHECK_NEAR(fixed.logdet, std::log((X.transpose() * X).determinant()), 1e-10);
}

TEST(a_singular_moment_matrix_is_no_optimum) {
  RatioMoments m;
  m.S = m.S1 = m.S2 = Matrix::Ones(3, 3);
  CHECK(std::isinf(profiled_criterion(m, 10, true, 1.0).value));
}

TEST(no_fixed_effects) {
  RatioMoments m;
  m.S = Matrix::Constant(1, 1, 4.0);
  m.S1 = m.S2 = Matrix::Zero(1, 1);
  const Point point = profiled_criterion(m, 8, true, 0.5);
  CHECK_NEAR(point.value, 8 * (1 + std::log(2 * M_PI * 0.5)), 1e-12);
}
