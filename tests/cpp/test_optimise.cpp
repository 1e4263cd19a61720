#include <cstdlib>

#include "check.h"
#include "core/optimise.h"

using namespace kinlmm;

namespace {

// Two variance components on records in groups of three and of four, by dense algebra.
struct Model {
  Matrix Xy, H1, H2;
  explicit Model(double first, double second) {
    std::srand(5);
    const Index n = 60;
    Xy = Matrix::Random(n, 3);
    Xy.col(0).setOnes();
    H1 = H2 = Matrix::Zero(n, n);
    const Vector a = Vector::Random(n), b = Vector::Random(n);
    for (Index i = 0; i < n; ++i) {
      Xy(i, 2) += first * a(i / 3) + second * b(i % 15);
      for (Index j = 0; j < n; ++j) {
        H1(i, j) = i / 3 == j / 3;
        H2(i, j) = i % 15 == j % 15;
      }
    }
  }
  Moments at(const Vector& theta, Order) const {
    const Index n = Xy.rows();
    const std::vector<Matrix> G = {H1, H2};
    const Matrix H =
        Matrix::Identity(n, n) + theta(0) * theta(0) * H1 + theta(1) * theta(1) * H2;
    const Matrix Hi = H.inverse();
    const Eigen::LLT<Matrix> llt(H);
    Moments out;
    out.logdet = 2 * Matrix(llt.matrixL()).diagonal().array().log().sum();
    out.S = Xy.transpose() * Hi * Xy;
    out.trace.resize(2);
    out.traces.resize(2, 2);
    const Matrix HiX = Hi * Xy.leftCols(2);
    const Matrix P =
        Hi - HiX * (Xy.leftCols(2).transpose() * HiX).inverse() * HiX.transpose();
    const Vector Py = P * Xy.col(2);
    out.average.resize(2, 2);
    for (Index c = 0; c < 2; ++c) {
      const Matrix HG = Hi * G[static_cast<std::size_t>(c)];
      out.trace(c) = HG.trace();
      out.W.push_back(Xy.transpose() * HG * Hi * Xy);
      for (Index d = 0; d < 2; ++d) {
        const Matrix& other = G[static_cast<std::size_t>(d)];
        out.traces(c, d) = (HG * Hi * other).trace();
        out.WW.push_back(Xy.transpose() * HG * Hi * other * Hi * Xy);
        out.average(c, d) = (G[static_cast<std::size_t>(c)] * Py).dot(P * (other * Py));
      }
    }
    return out;
  }
};

Optimum fit(const Model& model, bool reml, Order order, const Vector& start) {
  OptimiseSettings settings;
  settings.reml = reml;
  settings.order = order;
  const MomentsAt moments = [&](const Vector& theta, Order o) {
    return model.at(theta, o);
  };
  return optimise(moments, 60, Covariance({1, 1}), settings, {start});
}

}  // namespace

TEST(optimum_is_no_worse_than_a_grid) {
  const Model model(2, 1);
  for (bool reml : {true, false}) {
    const Optimum found = fit(model, reml, Order::exact, Vector::Ones(2));
    CHECK(found.converged && !found.singular);
    CHECK(found.at.gradient.cwiseAbs().maxCoeff() < 1e-8);
    for (double a = 0; a < 3; a += 0.1) {
      for (double b = 0; b < 3; b += 0.1) {
        const Vector theta = (Vector(2) << a, b).finished();
        const Evaluation there =
            profiled_criterion(model.at(theta, Order::exact), 60, reml, Order::exact);
        CHECK(there.value >= found.at.value - 1e-9);
      }
    }
  }
}

TEST(average_information_ends_where_the_exact_one_does) {
  const Model model(2, 1);
  const Optimum exact = fit(model, true, Order::exact, Vector::Ones(2));
  const Optimum average = fit(model, true, Order::average, 5 * Vector::Ones(2));
  CHECK(average.converged);
  CHECK_NEAR((exact.theta - average.theta).norm(), 0, 1e-7);
}

TEST(zero_is_exact_where_the_slope_says_so_and_left_where_it_does_not) {
  // means taken off leave less than no variance between
  Model equal(2, 0);
  for (Index g = 0; g < 15; ++g) {
    double mean = 0;
    for (Index i = g; i < 60; i += 15) mean += equal.Xy(i, 2) / 4;
    for (Index i = g; i < 60; i += 15) equal.Xy(i, 2) -= mean;
  }
  const Optimum without = fit(equal, true, Order::exact, Vector::Ones(2));
  CHECK(without.converged && without.singular);
  CHECK(without.theta(1) == 0 && without.at.carried(1) > 0);
  // a start on the boundary is a saddle of theta, not an optimum
  const Optimum left = fit(Model(2, 1), true, Order::exact, Vector::Zero(2));
  CHECK(left.converged && !left.singular && left.theta(0) > 0.1 && left.theta(1) > 0.1);
}
