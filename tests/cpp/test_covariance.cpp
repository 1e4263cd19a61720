#include <cstdlib>

#include "check.h"
#include "core/covariance.h"

using namespace kinlmm;

namespace {

// Any smooth function of psi, with its derivatives.
struct Bowl {
  Vector at;
  Matrix A;
  double value(const Vector& psi) const {
    const Vector x = psi - at;
    return x.dot(A * x) + std::pow(x.sum(), 3);
  }
  Vector gradient(const Vector& psi) const {
    const Vector x = psi - at;
    return 2 * A * x + Vector::Constant(x.size(), 3 * x.sum() * x.sum());
  }
  Matrix hessian(const Vector& psi) const {
    const double sum = (psi - at).sum();
    return 2 * A + Matrix::Constant(at.size(), at.size(), 6 * sum);
  }
};

}  // namespace

TEST(covariance_packs_lower_triangles_by_columns) {
  const Covariance covariance({2, 1});
  const Vector theta = (Vector(4) << 1, 2, 3, 4).finished();
  const Matrix T = covariance.lower(theta, 0);
  CHECK(T(0, 0) == 1 && T(1, 0) == 2 && T(1, 1) == 3 && T(0, 1) == 0);
  CHECK(covariance.lower(theta, 1)(0, 0) == 4);
  const Vector psi = covariance.psi(theta);
  CHECK(psi(0) == 1 && psi(1) == 2 && psi(2) == 13 && psi(3) == 16);
  Vector again = Vector::Zero(4);
  covariance.pack(T, 0, again);
  CHECK((again.head(3) - theta.head(3)).norm() == 0);
  CHECK(covariance.symmetric(psi, 0)(0, 1) == 2);
}

TEST(covariance_chain_rule_is_that_of_differences) {
  std::srand(1);
  const Covariance covariance({3, 1, 2});
  const Index count = covariance.count();
  Bowl bowl;
  bowl.at = Vector::Random(count);
  bowl.A = Matrix::Random(count, count);
  bowl.A = (bowl.A + bowl.A.transpose()).eval();
  const Vector theta = Vector::Random(count);
  const auto gradient = [&](const Vector& x) {
    return covariance.gradient(x, bowl.gradient(covariance.psi(x)));
  };
  const Vector psi = covariance.psi(theta);
  const Matrix H = covariance.hessian(theta, bowl.gradient(psi), bowl.hessian(psi));
  for (Index i = 0; i < count; ++i) {
    const double h = 1e-5;
    Vector up = theta, down = theta;
    up(i) += h;
    down(i) -= h;
    CHECK_NEAR(
        gradient(theta)(i),
        (bowl.value(covariance.psi(up)) - bowl.value(covariance.psi(down))) / (2 * h),
        1e-7);
    const Vector slope = (gradient(up) - gradient(down)) / (2 * h);
    CHECK_NEAR((H.col(i) - slope).cwiseAbs().maxCoeff(), 0, 1e-7);
  }
}
