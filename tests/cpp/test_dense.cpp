#include <Eigen/LU>
#include <cstdlib>

#include "check.h"
#include "core/dense.h"

using namespace kinlmm;

namespace {

// Two kernels and something beside them, with the textbook's formulas.
struct Example {
  std::vector<Matrix> V;
  DenseData data;
  Vector psi;
  Matrix Hi;
  Example() {
    std::srand(7);
    const Index m = 90, p = 3;  // more than a block of LAPACK
    for (Index rank : {m, m / 3}) {
      const Matrix G = Matrix::Random(m, rank);
      V.push_back(G * G.transpose() / static_cast<double>(rank));
    }
    data.Xy = Matrix::Random(m, p);
    const Matrix beside = Matrix::Random(4, p);
    data.within = beside.transpose() * beside;
    for (const Matrix& v : V) data.V.emplace_back(v.data(), m, m);
    psi = Vector::Constant(2, 0.7);
    psi[1] = 2.5;
    Hi = (Matrix::Identity(m, m) + psi[0] * V[0] + psi[1] * V[1]).inverse();
  }
};

double distance(const Matrix& A, const Matrix& B) {
  return (A - B).cwiseAbs().maxCoeff();
}

}  // namespace

TEST(dense_value_and_first_derivatives_are_the_textbooks) {
  const Example e;
  const double logdet = -std::log(e.Hi.determinant());
  for (Order order : {Order::value, Order::gradient, Order::average, Order::exact}) {
    const Moments m = dense_moments(e.data, e.psi, order);
    CHECK_NEAR(m.logdet, logdet, 1e-9);
    const Matrix HiXy = e.Hi * e.data.Xy;
    CHECK_NEAR(distance(m.S, e.data.within + e.data.Xy.transpose() * HiXy), 0, 1e-11);
    if (order == Order::value) continue;
    for (std::size_t c = 0; c < 2; ++c) {
      CHECK_NEAR(m.trace[static_cast<Index>(c)], (e.Hi * e.V[c]).trace(), 1e-10);
      CHECK_NEAR(distance(m.W[c], HiXy.transpose() * e.V[c] * HiXy), 0, 1e-11);
    }
  }
}

TEST(dense_second_derivatives_are_the_textbooks) {
  const Example e;
  const Moments m = dense_moments(e.data, e.psi, Order::exact);
  const Matrix HiXy = e.Hi * e.data.Xy;
  for (std::size_t c = 0; c < 2; ++c) {
    for (std::size_t d = 0; d < 2; ++d) {
      const Matrix VHiV = e.V[c] * e.Hi * e.V[d];
      CHECK_NEAR(m.traces(static_cast<Index>(c), static_cast<Index>(d)),
                 (e.Hi * VHiV).trace(), 1e-10);
      CHECK_NEAR(distance(m.WW[2 * c + d], HiXy.transpose() * VHiV * HiXy), 0, 1e-11);
    }
  }
}

TEST(dense_average_information_projects_the_fixed_effects_out) {
  const Example e;
  const Matrix average = dense_moments(e.data, e.psi, Order::average).average;
  // the records themselves: those beside the random effects stand below
  const Index m = e.data.Xy.rows(), p = e.data.Xy.cols() - 1, n = m + p + 1;
  Matrix Hi = Matrix::Identity(n, n), Xy(n, p + 1);
  Hi.topLeftCorner(m, m) = e.Hi;
  Xy.topRows(m) = e.data.Xy;
  Xy.bottomRows(p + 1) = Eigen::LLT<Matrix>(e.data.within).matrixU();
  const Matrix X = Xy.leftCols(p);
  const Matrix P = Hi - Hi * X * (X.transpose() * Hi * X).inverse() * X.transpose() * Hi;
  const Vector Py = P * Xy.col(p);
  Matrix G[2];
  for (int c : {0, 1}) {
    G[c] = Matrix::Zero(n, n);
    G[c].topLeftCorner(m, m) = e.V[static_cast<std::size_t>(c)];
  }
  for (int c : {0, 1}) {
    for (int d : {0, 1}) CHECK_NEAR(average(c, d), Py.dot(G[c] * P * G[d] * Py), 1e-10);
  }
}

TEST(dense_without_fixed_effects_and_without_random_ones) {
  Example e;
  const Vector y = e.data.Xy.col(2);
  e.data.Xy = y;
  e.data.within = Matrix::Zero(1, 1);
  const Vector Py = e.Hi * y;
  const Moments m = dense_moments(e.data, e.psi, Order::average);
  CHECK_NEAR(m.average(0, 1), Py.dot(e.V[0] * e.Hi * e.V[1] * Py), 1e-11);
  const Moments none = dense_moments(e.data, Vector::Zero(2), Order::gradient);
  CHECK_NEAR(none.logdet, 0, 0);
  CHECK_NEAR(none.trace[1], e.V[1].trace(), 1e-12);
}

TEST(dense_where_the_covariance_is_not_positive_definite) {
  const Example e;
  const Moments m = dense_moments(e.data, Vector::Constant(2, -50.0), Order::exact);
  CHECK(std::isinf(m.logdet));
  CHECK(m.S.isZero());
}
