#include <cmath>
#include <vector>

#include "check.h"
#include "core/posterior.h"

using namespace kinlmm;

namespace {

// Two records of each of `levels` groups and an intercept; Marginal by n x n matrices.
Matrix design(Index levels) {
  Matrix Z = Matrix::Zero(2 * levels, levels);
  for (Index i = 0; i < 2 * levels; ++i) Z(i, i / 2) = 1;
  return Z;
}

MarginalAt dense_marginal(const Matrix& G, const Matrix& Xy) {
  return [G, Xy](const Vector& theta) {
    const Index n = Xy.rows();
    const Matrix H = Matrix::Identity(n, n) + theta[0] * theta[0] * G;
    return Marginal{std::log(H.determinant()), Xy.transpose() * H.inverse() * Xy};
  };
}

VariancePrior prior_of(PriorKind kind, double df, const Vector& scale) {
  VariancePrior out;
  out.kind = kind;
  out.df = df;
  out.scale = scale;
  return out;
}

// Of one term with the unit 0.5.
Vector coordinates(double ratio, double sigma) {
  Vector out(2);
  out << std::log(ratio), std::log(sigma) + 0.5 * std::log1p(0.25 * ratio * ratio);
  return out;
}

// y'y = 1 and no records: a density of exp(-1 / (2 sigma2)).
Marginal nothing(const Vector&) {
  Marginal out;
  out.S = Matrix::Constant(1, 1, 1.0);
  return out;
}

}  // namespace

// Up to a constant: log N of the contrasts, and the priors of standard deviations with
// the Jacobian of the logarithm.
TEST(posterior_density) {
  const Matrix Z = design(3);
  Matrix Xy(6, 2);
  Xy.col(0).setConstant(1 / std::sqrt(6.0));
  Xy.col(1) << 1, 2, 4, 3.5, -1, 0;
  const auto half_t = prior_of(PriorKind::half_t, 3, Vector::Constant(1, 2.0));
  const auto chisq = prior_of(PriorKind::inverse_chisq, 4, Vector::Constant(1, 0.5));
  Posterior posterior(dense_marginal(Z * Z.transpose(), Xy), Covariance({1}),
                      {half_t, chisq}, Vector::Constant(1, 0.5), 6);
  const auto expected = [&](double s, double e) {
    const Matrix V = s * s * Z * Z.transpose() + e * e * Matrix::Identity(6, 6);
    const Matrix Vi = V.inverse();
    const Vector x = Xy.col(0), y = Xy.col(1);
    const double xx = x.dot(Vi * x), xy = x.dot(Vi * y);
    return -0.5 *
               (std::log(V.determinant()) + std::log(xx) + y.dot(Vi * y) - xy * xy / xx) -
           2 * std::log1p(s * s / 4 / 3) + std::log(s) - 4 * std::log(e) -
           0.5 * 4 * 0.5 / (e * e);
  };
  Vector a(2), b(2);
  a = coordinates(0.7, 1.3);
  b = coordinates(2.5, 0.4);
  CHECK_NEAR(posterior(b) - posterior(a), expected(1.0, 0.4) - expected(0.7 * 1.3, 1.3),
             1e-10);
  const Vector components = posterior.components(b);
  CHECK_NEAR(components[0], 1, 1e-12);
  CHECK_NEAR(components[1], 0.16, 1e-12);
  // the total alone costs no evaluation
  posterior(b);
  const Index before = posterior.evaluations();
  b[1] += 1;
  posterior(b);
  CHECK(posterior.evaluations() == before);
}

// Coordinates of a covariance matrix: with the density of an inverse Wishart its Jacobian
// must be that of the map from coordinates to the components, by differences.
TEST(posterior_inverse_wishart) {
  const Index k = 3;
  VariancePrior prior;
  prior.kind = PriorKind::inverse_wishart;
  prior.df = 5;
  prior.matrix.resize(k, k);
  prior.matrix << 2, 0.5, 0.1, 0.5, 1, -0.2, 0.1, -0.2, 3;
  const auto residual =
      prior_of(PriorKind::flat_log_variance, 0, Vector::Constant(1, 1.0));
  Posterior posterior(nothing, Covariance({static_cast<int>(k)}), {prior, residual},
                      Vector::Constant(3, 0.5), 0);
  const auto expected = [&](const Vector& x) {
    const Matrix S = Covariance({3}).symmetric(posterior.components(x).head(6), 0);
    const auto own = [&](const Vector& x) {
      Vector out = posterior.components(x);
      out[6] = std::log(out[6]);
      return out;
    };
    Matrix J(7, 7);
    for (Index j = 0; j < 7; ++j) {
      Vector up = x, down = x;
      up[j] += 1e-5;
      down[j] -= 1e-5;
      J.col(j) = (own(up) - own(down)) / 2e-5;
    }
    return -0.5 * (prior.df + 4) * std::log(S.determinant()) -
           0.5 * (prior.matrix * S.inverse()).trace() +
           std::log(std::abs(J.determinant())) - 0.5 / posterior.components(x)[6];
  };
  Vector a(7), b(7);
  a << 0.1, -0.3, 0.4, 0.2, -0.5, 0.7, 0;
  b << -0.6, 0.2, 0.1, -0.8, 0.3, 0.1, 0;
  CHECK_NEAR(posterior(b) - posterior(a), expected(b) - expected(a), 1e-7);
}

// Under |R|^(lkj - 1) and half-normal standard deviations.
TEST(posterior_correlations) {
  VariancePrior prior = prior_of(PriorKind::half_t, INFINITY, Vector::Constant(3, 2.0));
  prior.lkj = 2.5;
  const auto residual =
      prior_of(PriorKind::flat_log_variance, 0, Vector::Constant(1, 1.0));
  Posterior posterior(nothing, Covariance({3}), {prior, residual},
                      Vector::Constant(3, 0.5), 0);
  // standard deviations and correlations, and the log density of these
  const auto own = [&](const Vector& x) {
    const Matrix S = Covariance({3}).symmetric(posterior.components(x).head(6), 0);
    const Vector s = S.diagonal().cwiseSqrt();
    Vector out(7);
    out << s, S(1, 0) / s[0] / s[1], S(2, 0) / s[0] / s[2], S(2, 1) / s[1] / s[2],
        std::log(posterior.components(x)[6]);
    return out;
  };
  const auto expected = [&](const Vector& x) {
    const Vector at = own(x);
    Matrix J(7, 7);
    for (Index j = 0; j < 7; ++j) {
      Vector up = x, down = x;
      up[j] += 1e-5;
      down[j] -= 1e-5;
      J.col(j) = (own(up) - own(down)) / 2e-5;
    }
    Matrix R(3, 3);
    R << 1, at[3], at[4], at[3], 1, at[5], at[4], at[5], 1;
    return 1.5 * std::log(R.determinant()) - at.head(3).squaredNorm() / 8 +
           std::log(std::abs(J.determinant())) - 0.5 / posterior.components(x)[6];
  };
  Vector a(7), b(7);
  a << 0.1, -0.3, 0.4, 0.2, -0.5, 0.7, 0;
  b << -0.6, 0.2, 0.1, -0.8, 0.3, 0.1, 0;
  CHECK_NEAR(posterior(b) - posterior(a), expected(b) - expected(a), 1e-7);
}

// Given the variances: normal, about the least-squares estimate.
TEST(posterior_fixed) {
  const Matrix Z = design(3);
  Matrix Xy(6, 2);
  Xy.col(0).setConstant(1 / std::sqrt(6.0));
  Xy.col(1) << 1, 2, 4, 3.5, -1, 0;
  const auto prior = prior_of(PriorKind::half_t, 3, Vector::Constant(1, 2.0));
  Posterior posterior(dense_marginal(Z * Z.transpose(), Xy), Covariance({1}),
                      {prior, prior}, Vector::Constant(1, 0.5), 6);
  Vector x(2);
  x = coordinates(0.5, 2);
  Random random(3);
  double sum = 0, squares = 0;
  const int draws = 20000;
  const double mean = Xy.col(0).dot(Xy.col(1)), variance = 4 * (1 + 2 * 0.25);
  for (int i = 0; i < draws; ++i) {
    const double b = posterior.draw_fixed(x, random)[0] - mean;
    sum += b;
    squares += b * b;
  }
  CHECK_NEAR(sum / draws, 0, 5 * std::sqrt(variance / draws));
  CHECK_NEAR(squares / draws / variance, 1, 5 * std::sqrt(2.0 / draws));
}
