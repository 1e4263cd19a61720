#include <Eigen/LU>

#include "check.h"
#include "core/random.h"
#include "core/sparse_mme.h"
#include "reference.h"

using namespace kinlmm;

namespace {

// A chain of 30 relatives, 25 of them with records, beside five herds; the intercept of
// unit length is the last column.
struct Example {
  Index n = 60, q = 30, herds = 5, width = 3;
  SparseData data;
  Matrix Xy, Z, K;
  Example() {
    Random random(5);
    Xy = Matrix(n, width + 1);
    for (Index i = 0; i < Xy.size(); ++i) Xy.data()[i] = random.uniform() - 0.5;
    Xy.col(width).setConstant(1 / std::sqrt(static_cast<double>(n)));
    data.n = n;
    data.first = {0, 30, 35};
    std::vector<Eigen::Triplet<double>> entries;
    for (int i = 0; i < 30; ++i) {
      entries.emplace_back(i, i, 1.5);
      if (i > 0) entries.emplace_back(i, i - 1, -0.6);
    }
    for (int i = 30; i < 35; ++i) entries.emplace_back(i, i, 1);
    data.Q = SparseMatrix(35, 35);
    data.Q.setFromTriplets(entries.begin(), entries.end());
    const Matrix whole = Matrix(data.Q).selfadjointView<Eigen::Lower>();
    K = whole.inverse();
    data.logdet_Q = std::log(whole.determinant());
    Vector z(n);
    std::vector<SparseTerm> terms;
    for (Index i = 0; i < n; ++i) z(i) = 0.5 + random.uniform();
    terms.push_back(SparseTerm{{}, z});
    terms.push_back(SparseTerm{{}, z});
    Z = Matrix::Zero(n, 35);
    for (Index i = 0; i < n; ++i) {
      terms[0].effect.push_back(static_cast<int>(random.below(25)));
      terms[1].effect.push_back(30 + static_cast<int>(random.below(5)));
      for (const SparseTerm& term : terms) Z(i, term.effect.back()) = z(i);
    }
    data.S = Xy.transpose() * Xy;
    data.contrasts = true;
    add_records(terms, Xy, data);
  }
  Matrix G(Index t) const {
    const Index first = t == 0 ? 0 : 30, size = t == 0 ? 30 : 5;
    return Z.middleCols(first, size) * K.block(first, first, size, size) *
           Z.middleCols(first, size).transpose();
  }
};

double distance(const Matrix& A, const Matrix& B) {
  return (A - B).cwiseAbs().maxCoeff();
}

}  // namespace

TEST(sparse_moments_are_the_textbooks) {
  Example e;
  SparseEquations equations(e.data);
  for (const Vector& theta : {Vector(Vector::Constant(2, 0.7)), Vector(Vector::Zero(2)),
                              Vector((Vector(2) << -2, 0).finished())}) {
    const Matrix Hi = (Matrix::Identity(e.n, e.n) + theta(0) * theta(0) * e.G(0) +
                       theta(1) * theta(1) * e.G(1))
                          .inverse();
    const Matrix A = e.Xy.leftCols(e.width), HiA = Hi * A;
    const Vector one = e.Xy.col(e.width);
    const double inner = one.dot(Hi * one);
    const Moments m = equations.moments(theta, Order::exact);
    CHECK_NEAR(m.logdet, -std::log(Hi.determinant()) + std::log(inner), 1e-11);
    CHECK_NEAR(distance(m.S, A.transpose() * HiA), 0, 1e-12);
    for (Index c = 0; c < 2; ++c) {
      const Matrix HGH = Hi * e.G(c) * Hi;
      const double slope = one.dot(HGH * one) / inner;
      CHECK_NEAR(m.trace(c), (Hi * e.G(c)).trace() - slope, 1e-11);
      CHECK_NEAR(distance(m.W[static_cast<std::size_t>(c)], A.transpose() * HGH * A), 0,
                 1e-12);
      for (Index d = 0; d < 2; ++d) {
        const Matrix second = HGH * e.G(d) * Hi;
        const double bend = 2 * one.dot(second * one) / inner -
                            slope * one.dot(Hi * e.G(d) * Hi * one) / inner;
        CHECK_NEAR(m.traces(c, d), (Hi * e.G(c) * Hi * e.G(d)).trace() - bend, 1e-10);
        CHECK_NEAR(distance(m.WW[static_cast<std::size_t>(2 * c + d)],
                            A.transpose() * second * A),
                   0, 1e-11);
      }
    }
    const Matrix X = A.leftCols(2);
    const Matrix P =
        Hi - Hi * X * (X.transpose() * Hi * X).inverse() * X.transpose() * Hi;
    const Moments average = equations.moments(theta, Order::average);
    for (Index c = 0; c < 2; ++c) {
      for (Index d = 0; d < 2; ++d) {
        CHECK_NEAR(average.average(c, d),
                   A.col(2).dot(P * e.G(c) * P * e.G(d) * P * A.col(2)), 1e-12);
      }
    }
  }
}

TEST(sparse_effects_and_rows_are_the_textbooks) {
  Example e;
  SparseEquations equations(e.data);
  const Vector theta = (Vector(2) << 0.8, 1.5).finished();
  Matrix D = e.K;
  D.topLeftCorner(30, 30) *= theta(0) * theta(0);
  D.bottomRightCorner(5, 5) *= theta(1) * theta(1);
  const Matrix Hi = (Matrix::Identity(e.n, e.n) + e.Z * D * e.Z.transpose()).inverse();
  const Matrix X = e.Xy.leftCols(2);
  const Matrix unscaled = (X.transpose() * Hi * X).inverse();
  const Matrix P = Hi - Hi * X * unscaled * X.transpose() * Hi;
  const SparseEquations::Effects at = equations.effects(theta, true);
  const Matrix C = D * e.Z.transpose();
  CHECK_NEAR(distance(at.mode, C * P * e.Xy.col(2)), 0, 1e-12);
  const Matrix conditional = D - C * Hi * C.transpose();
  CHECK_NEAR(distance(at.conditional, conditional.diagonal()), 0, 1e-12);
  CHECK_NEAR(distance(at.prediction, (D - C * P * C.transpose()).diagonal()), 0, 1e-12);

  // every pair of an animal and a herd, beside one another in the data or not
  Eigen::MatrixXi effect(151, 2);
  Matrix Z = Matrix::Constant(151, 2, 0.9), z = Matrix::Zero(151, 35);
  for (int i = 0; i < 150; ++i) {
    effect(i, 0) = i % 30;
    effect(i, 1) = 30 + i / 30;
    z(i, effect(i, 0)) = z(i, effect(i, 1)) = 0.9;
  }
  effect(150, 0) = effect(150, 1) = -1;
  const Matrix rows = Matrix::Ones(151, 2);
  const Matrix through = rows - z * C * Hi * X;
  const Vector expected = (z * conditional).cwiseProduct(z).rowwise().sum() +
                          (through * unscaled).cwiseProduct(through).rowwise().sum();
  CHECK_NEAR(distance(equations.row_variances(theta, rows, effect, Z), expected), 0,
             1e-11);
}

TEST(sparse_moments_where_nothing_is_defined) {
  Example e;
  SparseEquations equations(e.data);
  const Vector theta = Vector::Constant(2, std::numeric_limits<double>::infinity());
  CHECK(std::isinf(equations.moments(theta, Order::average).logdet));
  CHECK(std::isfinite(equations.moments(Vector::Ones(2), Order::average).logdet));
}
