#include <cstdlib>

#include "check.h"
#include "core/least_squares.h"

using namespace kinlmm;

namespace {

struct Example {
  Matrix X, Q;
  Vector y, root, r;
  explicit Example(Index n) {
    std::srand(7);
    X = Matrix::Random(n, 3);
    X.col(0).setOnes();
    X.col(2) = 1e7 + 1e6 * X.col(2).array();
    y = 1e6 + Vector::Random(n).array();
    root = 1.5 + 0.5 * Vector::Random(n).array();
    Q.resize(n, 3);
    r.resize(n);
  }
  LeastSquares fit() { return least_squares(X, y, root, Q, r); }
};

}  // namespace

TEST(least_squares_decomposes_and_projects) {
  for (Index n : {5, 1024, 1030, 3000}) {
    Example e(n);
    const LeastSquares fit = e.fit();
    CHECK(fit.reliable);
    const Matrix X = e.root.asDiagonal() * e.X;
    CHECK_NEAR((e.Q.transpose() * e.Q - Matrix::Identity(3, 3)).norm(), 0, 1e-12);
    CHECK_NEAR((e.Q * fit.R - X).norm() / X.norm(), 0, 1e-13);
    CHECK_NEAR((e.Q.transpose() * e.r).norm(), 0, 1e-9);
    const Vector fitted = X * fit.beta;
    CHECK_NEAR((e.root.cwiseProduct(e.y) - fitted - e.r).cwiseAbs().maxCoeff(), 0, 1e-6);
  }
}

TEST(least_squares_says_when_columns_are_dependent) {
  Example e(50);
  e.X.col(2) = 2 * e.X.col(1);
  CHECK(!e.fit().reliable);
  e.X.col(2).setZero();
  CHECK(!e.fit().reliable);
}

TEST(least_squares_without_columns_leaves_the_response) {
  Example e(20);
  e.X.resize(20, 0);
  e.Q.resize(20, 0);
  const LeastSquares fit = e.fit();
  CHECK(fit.reliable);
  CHECK_NEAR((e.r - e.root.cwiseProduct(e.y)).norm(), 0, 0);
}
