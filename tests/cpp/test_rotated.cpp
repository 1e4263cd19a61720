#include <cstdlib>

#include "check.h"
#include "core/rotated.h"
#include "reference.h"

using namespace kinlmm;

namespace {

// One record per individual: the data in an eigenbasis, and the dense model behind it.
struct Example {
  Matrix X, U;
  Vector y, d;
  RotatedData data;
  Example() {
    std::srand(5);
    const Index q = 25;
    const Matrix G = Matrix::Random(q, 40);
    const Eigen::SelfAdjointEigenSolver<Matrix> eigen(G * G.transpose() / 40);
    U = eigen.eigenvectors();
    d = eigen.eigenvalues();
    X = Matrix::Random(q, 2);
    X.col(0).setOnes();
    y = Vector::Random(q) + U.col(q - 1) * 2;
    data.d = d;
    data.Xy.resize(q, 3);
    data.Xy << U.transpose() * X, U.transpose() * y;
    data.within = Matrix::Zero(3, 3);
    data.n = q;
    data.unit = d.mean();
  }
  Matrix H(double tau) const {
    return tau * U * d.asDiagonal() * U.transpose() +
           Matrix::Identity(y.size(), y.size());
  }
};

}  // namespace

TEST(rotated_criterion_is_the_dense_one) {
  const Example e;
  for (double tau : {0.0, 0.1, 2.0, 1e3}) {
    for (bool reml : {true, false}) {
      CHECK_NEAR(rotated_criterion(e.data, reml, tau).value,
                 dense_criterion(e.X, e.y, e.H(tau), reml), 1e-8);
    }
  }
}

TEST(rotated_derivatives_are_those_of_differences) {
  Example e;
  for (bool centred : {false, true}) {
    if (centred) e.data.intercept = e.U.transpose() * Vector::Constant(25, 0.2);
    for (double tau : {0.2, 1.0, 30.0}) {
      const double h = 1e-5 * tau;
      const Point at = rotated_criterion(e.data, true, tau);
      const Point up = rotated_criterion(e.data, true, tau + h);
      const Point down = rotated_criterion(e.data, true, tau - h);
      CHECK_NEAR(at.first, (up.value - down.value) / (2 * h), 1e-6);
      CHECK_NEAR(at.second, (up.first - down.first) / (2 * h), 1e-6);
    }
  }
}

TEST(rotated_fit_is_no_worse_than_a_grid) {
  const Example e;
  for (bool reml : {true, false}) {
    const IntervalMinimum fit = fit_rotated(e.data, reml);
    for (double tau = 1e-6; tau < 1e5; tau *= 1.1) {
      CHECK(rotated_criterion(e.data, reml, tau).value >= fit.at.value - 1e-10);
    }
    CHECK_NEAR(fit.bound == 0 ? fit.at.first * fit.at.x : 0, 0, 1e-9);
  }
}
