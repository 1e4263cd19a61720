#include "core/posterior.h"

#include <Eigen/Cholesky>
#include <cmath>
#include <limits>
#include <utility>

namespace kinlmm {

namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();

double log_half_t(double s, double scale, double df) {
  const double square = (s / scale) * (s / scale);
  return std::isinf(df) ? -0.5 * square : -0.5 * (df + 1) * std::log1p(square / df);
}

// Of one variance s^2, in log s.
double log_density(const VariancePrior& prior, double log_s, double scale) {
  const double s = std::exp(log_s);
  switch (prior.kind) {
    case PriorKind::half_t:
      return log_half_t(s, scale, prior.df) + log_s;
    case PriorKind::inverse_chisq:
      return -prior.df * log_s - 0.5 * prior.df * scale / (s * s);
    case PriorKind::inverse_wishart:
      return -prior.df * log_s - 0.5 * prior.matrix(0, 0) / (s * s);
    case PriorKind::flat_deviation:
      return log_s;
    case PriorKind::flat_variance:
      return 2 * log_s;
    default:
      return 0;
  }
}

}  // namespace

Posterior::Posterior(MarginalAt at, Covariance covariance,
                     std::vector<VariancePrior> priors, Vector unit, Index n)
    : at_(std::move(at)),
      covariance_(std::move(covariance)),
      priors_(std::move(priors)),
      unit_(std::move(unit)),
      n_(n) {}

// Row i is made of the partial correlations before the diagonal: each takes its share of
// what those before it leave of the length.
Matrix Posterior::correlation_factor(const Vector& x, Index t) const {
  const Index k = covariance_.size(t);
  Matrix L = Matrix::Zero(k, k);
  Index at = covariance_.first(t) + k;
  for (Index i = 0; i < k; ++i) {
    double left = 1;
    for (Index j = 0; j < i; ++j) {
      const double z = std::tanh(x[at]);
      L(i, j) = z * left;
      left /= std::cosh(x[at++]);
    }
    L(i, i) = left;
  }
  return L;
}

// With the Jacobian of the coordinates. Under |R|^(lkj - 1) the partial correlation in
// column j has the density (1 - z^2)^(lkj - 1 + (k - 2 - j) / 2), j = 0, ..., and |R| is
// the product of all 1 - z^2 (Lewandowski, Kurowicka and Joe 2009).
double Posterior::term_prior(const Vector& x, Index t, double log_sigma) const {
  const VariancePrior& prior = priors_[static_cast<std::size_t>(t)];
  const Index k = covariance_.size(t), first = covariance_.first(t);
  if (k == 1) {
    const double scale = prior.scale.size() > 0 ? prior.scale[0] : 1;
    return log_density(prior, x[first] + log_sigma, scale);
  }
  const bool wishart = prior.kind == PriorKind::inverse_wishart;
  double out = 0, log_deviations = 0, log_det_correlation = 0;
  for (Index i = 0; i < k; ++i) {
    const double log_s = x[first + i] + log_sigma;
    log_deviations += log_s;
    if (!wishart) out += log_density(prior, log_s, prior.scale[i]);
  }
  for (Index i = 1, at = first + k; i < k; ++i) {
    for (Index j = 0; j < i; ++j, ++at) {
      const double left = -2 * std::log(std::cosh(x[at]));
      log_det_correlation += left;
      const double exponent = wishart ? 0 : prior.lkj - 1;
      out += (exponent + 0.5 * static_cast<double>(k - 2 - j) + 1) * left;
    }
  }
  if (!wishart) return out;
  const double size = static_cast<double>(k);
  Matrix L = correlation_factor(x, t);
  for (Index i = 0; i < k; ++i) L.row(i) *= std::exp(x[first + i] + log_sigma);
  const Matrix half =
      L.triangularView<Eigen::Lower>().solve(Matrix(prior.matrix.llt().matrixL()));
  return out - 0.5 * (prior.df + size + 1) * (2 * log_deviations + log_det_correlation) -
         0.5 * half.squaredNorm() + (size + 1) * log_deviations;
}

double Posterior::excess(const Vector& x) const {
  double sum = 0;
  for (Index t = 0, column = 0; t < covariance_.terms(); ++t) {
    for (Index i = 0; i < covariance_.size(t); ++i, ++column) {
      const double ratio = unit_[column] * std::exp(x[covariance_.first(t) + i]);
      sum += ratio * ratio;
    }
  }
  return 0.5 * std::log1p(sum);
}

double Posterior::log_prior(const Vector& x, double log_sigma) const {
  const VariancePrior& residual = priors_.back();
  const double scale = residual.scale.size() > 0 ? residual.scale[0] : 1;
  double out = log_density(residual, log_sigma, scale);
  for (Index t = 0; t < covariance_.terms(); ++t) out += term_prior(x, t, log_sigma);
  return out;
}

bool Posterior::move_to(const Vector& x) {
  const Index ratios = covariance_.count();
  for (std::size_t i : {now_, 1 - now_}) {
    if (places_[i].ratios.size() == ratios && places_[i].ratios == x.head(ratios)) {
      now_ = i;
      return places_[i].defined;
    }
  }
  now_ = 1 - now_;
  Place& place = places_[now_];
  place.ratios = x.head(ratios);
  place.defined = false;
  Vector theta(ratios);
  for (Index t = 0; t < covariance_.terms(); ++t) {
    Matrix T = correlation_factor(x, t);
    for (Index i = 0; i < T.rows(); ++i)
      T.row(i) *= std::exp(x[covariance_.first(t) + i]);
    covariance_.pack(T, t, theta);
  }
  if (!theta.allFinite()) return false;
  ++evaluations_;
  place.marginal = at_(theta);
  const Matrix& S = place.marginal.S;
  const Index p = S.rows() - 1;
  place.logdets = place.marginal.logdet;
  place.s = S(p, p);
  if (p > 0 && std::isfinite(place.logdets)) {
    const Eigen::LLT<Matrix> llt(S.topLeftCorner(p, p));
    if (llt.info() != Eigen::Success) return false;
    const Matrix L = llt.matrixL();
    place.logdets += 2 * L.diagonal().array().log().sum();
    place.s -= L.triangularView<Eigen::Lower>().solve(S.col(p).head(p)).squaredNorm();
  }
  place.defined = place.s > 0 && std::isfinite(place.logdets);
  return place.defined;
}

double Posterior::operator()(const Vector& x) {
  if (!x.allFinite() || !move_to(x)) return kNever;
  const double at = log_sigma(x);
  const Place& place = places_[now_];
  const double dof = static_cast<double>(n_ - (place.marginal.S.rows() - 1));
  const double out = -dof * at - 0.5 * place.logdets - 0.5 * place.s * std::exp(-2 * at) +
                     log_prior(x, at);
  return std::isnan(out) ? kNever : out;
}

Vector Posterior::components(const Vector& x) const {
  const Index count = covariance_.count();
  const double sigma = std::exp(log_sigma(x));
  Vector out(count + 1);
  for (Index t = 0; t < covariance_.terms(); ++t) {
    Matrix T = correlation_factor(x, t);
    for (Index i = 0; i < T.rows(); ++i) {
      T.row(i) *= sigma * std::exp(x[covariance_.first(t) + i]);
    }
    covariance_.pack(T * T.transpose(), t, out);
  }
  out[count] = sigma * sigma;
  return out;
}

Vector Posterior::draw_fixed(const Vector& x, Random& random) {
  move_to(x);
  const Matrix& S = places_[now_].marginal.S;
  const Index p = S.rows() - 1;
  if (p == 0) return Vector();
  const Eigen::LLT<Matrix> llt(S.topLeftCorner(p, p));
  Vector z(p);
  for (Index i = 0; i < p; ++i) z[i] = random.normal();
  return llt.solve(S.col(p).head(p)) + std::exp(log_sigma(x)) * llt.matrixU().solve(z);
}

Vector Posterior::start(double deviation, Random& random) const {
  const Index count = covariance_.count();
  Vector x(count + 1);
  for (Index t = 0, column = 0; t < covariance_.terms(); ++t) {
    const Index k = covariance_.size(t), first = covariance_.first(t);
    for (Index i = 0; i < k; ++i, ++column) {
      x[first + i] = (2 * random.uniform() - 1) * std::log(8.0) - std::log(unit_[column]);
    }
    for (Index i = k; i < k * (k + 1) / 2; ++i) x[first + i] = 0.5 * random.normal();
  }
  x[count] = std::log(deviation) + 0.5 * random.normal();
  return x;
}

}  // namespace kinlmm
