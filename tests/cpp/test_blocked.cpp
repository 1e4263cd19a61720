#include <cstdlib>
#include <vector>

#include "check.h"
#include "core/blocked.h"
#include "core/criterion.h"
#include "reference.h"

using namespace kinlmm;

namespace {

// n records of factors with q levels and k effects; each factor is one term. Where it is
// `nested`, the levels of a factor are parts of those of the next.
struct Example {
  Matrix X, Xy;
  Vector y;
  std::vector<FactorRows> rows;
  BlockedData data;
  Example(Index n, const std::vector<Index>& q, const std::vector<Index>& k,
          bool nested = false) {
    std::srand(3);
    X = Matrix::Random(n, 2);
    X.col(0).setOnes();
    y = Vector::Random(n);
    for (std::size_t f = 0; f < q.size(); ++f) {
      FactorRows factor;
      factor.q = q[f];
      factor.Z = Matrix::Random(n, k[f]);
      factor.Z.col(0).setOnes();
      for (Index i = 0; i < n; ++i) {
        const Index level =
            nested ? (f == 0 ? i % q[0]
                             : rows[f - 1].level[static_cast<std::size_t>(i)] % q[f])
                   : (i < q[f] ? i : std::rand() % q[f]);
        factor.level.push_back(static_cast<int>(level));
        y(i) += (level % 3) * factor.Z.row(i).sum();
      }
      rows.push_back(factor);
    }
    Xy.resize(n, 3);
    Xy << X, y;
    data = blocked_data(rows, Xy);
    for (std::size_t f = 0; f < q.size(); ++f) {
      data.sizes.push_back(static_cast<int>(k[f]));
      data.factors[f].terms = {static_cast<int>(f)};
    }
  }
  // Z_f, n x q k.
  Matrix Z(std::size_t f) const {
    const Index k = rows[f].Z.cols();
    Matrix out = Matrix::Zero(y.size(), rows[f].q * k);
    for (Index i = 0; i < y.size(); ++i) {
      out.row(i).segment(rows[f].level[static_cast<std::size_t>(i)] * k, k) =
          rows[f].Z.row(i);
    }
    return out;
  }
  // dH/dpsi, for every component.
  std::vector<Matrix> G() const {
    std::vector<Matrix> out;
    for (std::size_t f = 0; f < rows.size(); ++f) {
      const Matrix full = Z(f);
      const Index k = rows[f].Z.cols();
      for (Index c = 0; c < k; ++c) {
        for (Index r = c; r < k; ++r) {
          Matrix sum = Matrix::Zero(y.size(), y.size());
          for (Index l = 0; l < rows[f].q; ++l) {
            sum += full.col(l * k + r) * full.col(l * k + c).transpose();
            if (r != c) sum += full.col(l * k + c) * full.col(l * k + r).transpose();
          }
          out.push_back(sum);
        }
      }
    }
    return out;
  }
  Matrix H(const Vector& psi) const {
    Matrix out = Matrix::Identity(y.size(), y.size());
    const std::vector<Matrix> parts = G();
    for (std::size_t c = 0; c < parts.size(); ++c)
      out += psi(static_cast<Index>(c)) * parts[c];
    return out;
  }
};

double largest(const Matrix& a, const Matrix& b) {
  return (a - b).cwiseAbs().maxCoeff() / std::max(1.0, b.cwiseAbs().maxCoeff());
}

void check_moments(const Example& e, const BlockedData& data, const Vector& theta) {
  Blocked engine(data);
  const Moments at = engine.moments(theta, Order::exact);
  const std::vector<Matrix> G = e.G();
  const Matrix H = e.H(engine.covariance().psi(theta));
  const Matrix Hi = H.inverse();
  CHECK_NEAR(at.logdet, std::log(H.determinant()), 1e-8);
  CHECK_NEAR(largest(at.S, e.Xy.transpose() * Hi * e.Xy), 0, 1e-11);
  for (std::size_t c = 0; c < G.size(); ++c) {
    const Matrix HG = Hi * G[c];
    CHECK_NEAR(at.trace(static_cast<Index>(c)) / HG.trace(), 1, 1e-10);
    CHECK_NEAR(largest(at.W[c], e.Xy.transpose() * HG * Hi * e.Xy), 0, 1e-10);
    for (std::size_t d = 0; d < G.size(); ++d) {
      const Matrix product = HG * Hi * G[d];
      CHECK_NEAR(
          at.traces(static_cast<Index>(c), static_cast<Index>(d)) / product.trace(), 1,
          1e-9);
      CHECK_NEAR(largest(at.WW[c * G.size() + d], e.Xy.transpose() * product * Hi * e.Xy),
                 0, 1e-10);
    }
  }
  const Moments average = engine.moments(theta, Order::average);
  if (data.rest_size() == 0) return;
  const Matrix HiX = Hi * e.X;
  const Matrix P = Hi - HiX * (e.X.transpose() * HiX).inverse() * HiX.transpose();
  const Vector Py = P * e.y;
  Matrix expected(at.trace.size(), at.trace.size());
  for (std::size_t c = 0; c < G.size(); ++c) {
    for (std::size_t d = 0; d < G.size(); ++d) {
      expected(static_cast<Index>(c), static_cast<Index>(d)) =
          (G[c] * Py).dot(P * (G[d] * Py));
    }
  }
  CHECK_NEAR(largest(average.average, expected), 0, 1e-9);
}

}  // namespace

TEST(blocked_moments_of_one_factor_are_the_dense_ones) {
  const Example e(60, {9}, {2});
  const BlockedData merged = merged_levels(e.data);
  for (int i = 0; i < 4; ++i) {
    const Vector theta = i == 0 ? Vector((Vector(3) << 1, 0.5, 0).finished())
                                : Vector(2 * Vector::Random(3));
    check_moments(e, e.data, theta);
    check_moments(e, merged, theta);
  }
}

TEST(blocked_moments_of_crossed_factors_are_the_dense_ones) {
  const Example e(90, {12, 7, 3}, {2, 1, 2});
  for (int i = 0; i < 4; ++i) check_moments(e, e.data, 2 * Vector::Random(7));
  // nothing of it needs the factors to be invertible
  check_moments(e, e.data, (Vector(7) << 1, 0.3, 0, 0, 0, 0, 0).finished());
}

TEST(blocked_moments_of_a_sparse_rest_are_the_dense_ones) {
  const Example e(300, {280, 110}, {1, 2}, true);
  CHECK(!make_rest(e.data.rest, {{110, 2}}, e.data.start, e.data.column)->dense());
  check_moments(e, e.data, (Vector(4) << 0.8, 0.5, -0.2, 0.7).finished());
  check_moments(e, e.data, (Vector(4) << 0.8, 0.5, -0.2, 0).finished());
}

TEST(equal_levels_are_one_class_and_leave_the_moments_as_they_are) {
  Example e(80, {20}, {2});
  for (Index i = 0; i < 80; ++i) {
    e.rows[0].level[static_cast<std::size_t>(i)] = static_cast<int>(i / 4);
    e.rows[0].Z(i, 1) = static_cast<double>(i % 4);
  }
  e.data = blocked_data(e.rows, e.Xy);
  e.data.sizes = {2};
  e.data.factors[0].terms = {0};
  const BlockedData merged = merged_levels(e.data);
  CHECK(merged.classes() == 1 && merged.count[0] == 20 && merged.slice[1] == 6);
  check_moments(e, merged, (Vector(3) << 0.9, -0.4, 0.6).finished());
}

TEST(blocked_effects_and_the_hat_matrix_are_the_dense_ones) {
  const Example e(70, {8, 5}, {2, 1});
  Blocked engine(e.data);
  const Vector theta = (Vector(4) << 0.9, -0.4, 0.6, 1.2).finished();
  const std::vector<Blocked::Effects> effects = engine.effects(theta, true);
  const Vector psi = engine.covariance().psi(theta);
  const Matrix Hi = e.H(psi).inverse(), HiX = Hi * e.X;
  const Matrix Q = (e.X.transpose() * HiX).inverse();
  const Matrix P = Hi - HiX * Q * HiX.transpose();
  for (std::size_t f = 0; f < 2; ++f) {
    const Index k = e.rows[f].Z.cols(), q = e.rows[f].q;
    const Matrix own = engine.covariance().symmetric(psi, static_cast<Index>(f));
    Matrix D = Matrix::Zero(k * q, k * q);
    for (Index l = 0; l < q; ++l) D.block(l * k, l * k, k, k) = own;
    const Matrix Z = e.Z(f);
    const Matrix mode = D * Z.transpose() * P * e.y;
    const Matrix conditional = D - D * Z.transpose() * Hi * Z * D;
    const Matrix prediction = D - D * Z.transpose() * P * Z * D;
    for (Index l = 0; l < q; ++l) {
      CHECK_NEAR(largest(effects[f].mode.col(l), mode.middleRows(l * k, k)), 0, 1e-11);
      CHECK_NEAR(largest(effects[f].conditional.middleCols(l * k, k),
                         conditional.block(l * k, l * k, k, k)),
                 0, 1e-11);
      CHECK_NEAR(largest(effects[f].prediction.middleCols(l * k, k),
                         prediction.block(l * k, l * k, k, k)),
                 0, 1e-11);
    }
  }
  const Vector hat = engine.row_variances(theta, e.rows, e.X);
  CHECK_NEAR(largest(hat, Vector::Ones(70) - P.diagonal()), 0, 1e-11);
}

namespace {

// Of rows with any levels, -1 among them, by the covariances of all effects.
void check_row_variances(const Example& e, const Vector& theta) {
  Blocked engine(e.data);
  const Vector psi = engine.covariance().psi(theta);
  const Matrix Hi = e.H(psi).inverse(), HiX = Hi * e.X;
  const Matrix Q = (e.X.transpose() * HiX).inverse();
  const Index m = 40;
  const Matrix X = Matrix::Random(m, 2);
  std::vector<FactorRows> rows = e.rows;
  Vector wanted = Vector::Zero(m);
  Matrix covariance = Matrix::Zero(m, e.y.size());  // of z'u with y
  for (std::size_t f = 0; f < rows.size(); ++f) {
    rows[f].Z = Matrix::Random(m, e.rows[f].Z.cols());
    rows[f].level.resize(static_cast<std::size_t>(m));
    const Matrix own = engine.covariance().symmetric(psi, static_cast<Index>(f));
    for (Index i = 0; i < m; ++i) {
      // some records of the data, some of any levels
      int& level = rows[f].level[static_cast<std::size_t>(i)];
      level = i < 10 ? e.rows[f].level[static_cast<std::size_t>(i)]
                     : std::rand() % static_cast<int>(e.rows[f].q + 2) - 1;
      if (level == e.rows[f].q || i == 39 || (i > 29 && f == 0)) level = -1;
      const Vector of_u = own * rows[f].Z.row(i).transpose();
      wanted(i) += rows[f].Z.row(i).dot(of_u);
      for (Index r = 0; r < e.y.size(); ++r) {
        if (e.rows[f].level[static_cast<std::size_t>(r)] != level) continue;
        covariance(i, r) += e.rows[f].Z.row(r).dot(of_u);
      }
    }
  }
  const Matrix through = X - covariance * HiX;
  for (Index i = 0; i < m; ++i) {
    wanted(i) -= covariance.row(i).dot(Hi * covariance.row(i).transpose());
    wanted(i) += through.row(i).dot(Q * through.row(i).transpose());
  }
  CHECK_NEAR(largest(engine.row_variances(theta, rows, X), wanted), 0, 1e-11);
}

}  // namespace

TEST(row_variances_of_any_levels_are_the_dense_ones) {
  check_row_variances(Example(60, {9}, {2}), (Vector(3) << 0.8, 0.5, 0.3).finished());
  const Vector theta = (Vector(7) << 0.9, -0.4, 0.6, 1.2, 0.7, 0.2, 0.4).finished();
  check_row_variances(Example(90, {12, 7, 3}, {2, 1, 2}), theta);
  const Example nested(300, {280, 110}, {1, 2}, true);
  check_row_variances(nested, (Vector(4) << 0.8, 0.5, -0.2, 0.7).finished());
  check_row_variances(nested, (Vector(4) << 0.8, 0.5, -0.2, 0).finished());
  const Example deep(400, {380, 150, 60}, {1, 2, 1}, true);
  CHECK(!make_rest(deep.data.rest, {{150, 2}, {60, 1}}, deep.data.start, deep.data.column)
             ->dense());
  check_row_variances(deep, (Vector(5) << 0.8, 0.5, -0.2, 0.7, 1.1).finished());
}
