#include <cstdlib>
#include <vector>

#include "check.h"
#include "core/blocked.h"
#include "reference.h"

using namespace kinlmm;

namespace {

// Unbalanced groups with an intercept and a slope.
struct Example {
  Matrix X, Z;
  Vector y;
  std::vector<int> level;
  BlockedData data;
  explicit Example(bool diagonal = false) {
    std::srand(3);
    const std::vector<int> sizes = {3, 8, 1, 5, 6, 2};
    for (std::size_t j = 0; j < sizes.size(); ++j) {
      for (int i = 0; i < sizes[j]; ++i) level.push_back(static_cast<int>(j));
    }
    const Index n = static_cast<Index>(level.size());
    X = Matrix::Random(n, 2);
    X.col(0).setOnes();
    Z = X;
    y = Vector::Random(n);
    for (Index i = 0; i < n; ++i) y(i) += level[static_cast<std::size_t>(i)] % 3;
    Matrix Xy(n, 3);
    Xy << X, y;
    data = blocked_data(Z, Xy, level, static_cast<Index>(sizes.size()));
    data.row = diagonal ? std::vector<int>{0, 1} : std::vector<int>{0, 1, 1};
    data.col = diagonal ? std::vector<int>{0, 1} : std::vector<int>{0, 0, 1};
  }
  Matrix H(const Matrix& T) const {
    const Matrix psi = T * T.transpose();
    Matrix out = Matrix::Identity(y.size(), y.size());
    for (Index i = 0; i < y.size(); ++i) {
      for (Index j = 0; j < y.size(); ++j) {
        if (level[static_cast<std::size_t>(i)] == level[static_cast<std::size_t>(j)]) {
          out(i, j) += Z.row(i).dot(psi * Z.row(j).transpose());
        }
      }
    }
    return out;
  }
};

}  // namespace

TEST(blocked_criterion_is_the_dense_one) {
  const Example e;
  for (int i = 0; i < 6; ++i) {
    const Vector theta = i == 0 ? Vector(Vector::Zero(3)) : Vector(2 * Vector::Random(3));
    const Matrix T = blocked_factor(e.data, theta);
    for (bool reml : {true, false}) {
      CHECK_NEAR(blocked_criterion(e.data, theta, reml).value,
                 dense_criterion(e.X, e.y, e.H(T), reml), 1e-9);
    }
  }
}

TEST(blocked_derivatives_are_those_of_differences) {
  for (bool diagonal : {false, true}) {
    const Example e(diagonal);
    const Index count = diagonal ? 2 : 3;
    for (bool reml : {true, false}) {
      const Vector theta = Vector::Random(count);
      const BlockedEvaluation at = blocked_criterion(e.data, theta, reml);
      for (Index i = 0; i < count; ++i) {
        const double h = 1e-5;
        Vector up = theta, down = theta;
        up(i) += h;
        down(i) -= h;
        const BlockedEvaluation a = blocked_criterion(e.data, up, reml);
        const BlockedEvaluation b = blocked_criterion(e.data, down, reml);
        CHECK_NEAR(at.gradient(i), (a.value - b.value) / (2 * h), 1e-7);
        for (Index l = 0; l < count; ++l) {
          CHECK_NEAR(at.hessian(l, i), (a.gradient(l) - b.gradient(l)) / (2 * h), 1e-6);
        }
      }
    }
  }
}

TEST(blocked_fit_is_no_worse_than_a_grid) {
  const Example e;
  const std::vector<Vector> starts = {(Vector(3) << 1, 0, 1).finished()};
  const BlockedFit fit = fit_blocked(e.data, true, 1e-8, 200, starts);
  CHECK(fit.converged);
  for (double a = 0; a < 3; a += 0.25) {
    for (double b = -2; b < 2; b += 0.25) {
      for (double c = 0; c < 3; c += 0.25) {
        const Vector theta = (Vector(3) << a, b, c).finished();
        CHECK(blocked_criterion(e.data, theta, true).value >= fit.at.value - 1e-9);
      }
    }
  }
}
