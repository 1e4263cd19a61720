#include "core/spike_spectrum.h"

#include <algorithm>
#include <cmath>

#include "core/lapack.h"
#include "core/rotated.h"

namespace kinlmm {

namespace {

constexpr Index kBlock = 512;

Vector residual(const SpikeModel& model, const Vector& x) {
  return x - model.Q_ * (model.Q_.transpose() * x);
}

}  // namespace

SpikeSpectrum::SpikeSpectrum(const SpikeModel& model, Random& random)
    : df_(static_cast<double>(model.n() - model.p())) {
  if (!(residual(model, model.y_).squaredNorm() > 0)) return;
  if (model.n() <= kExact) {
    decompose(model);
  } else {
    probe(model, random);
  }
  if (!(squares_ - trace_ * trace_ / df_ > 1e-8 * squares_)) {
    share_ = 0.5;
    return;
  }
  const double least = 0.5 / std::sqrt(at(0).information);
  share_ = std::min(0.95, std::max(share_, std::min(least, 0.5)));
}

void SpikeSpectrum::decompose(const SpikeModel& model) {
  const Index n = model.n(), m = model.m();
  Matrix K = Matrix::Zero(n, n);
  for (Index first = 0; first < m; first += kBlock) {
    const Index count = std::min(kBlock, m - first);
    Matrix Z = model.table_.Z.middleCols(first, count).cast<double>();
    Z.noalias() -= model.Q_ * model.QZ_.middleCols(first, count);
    lapack::syrk(1 / static_cast<double>(m), Z, 1, K);
  }
  trace_ = K.trace();
  RotatedData data;
  Vector reflectors;
  lapack::tridiagonalise(K, T_.diagonal, T_.beside, reflectors);
  squares_ = T_.diagonal.squaredNorm() + 2 * T_.beside.squaredNorm();
  data.d = T_.diagonal;
  data.beside = T_.beside;
  data.Xy = residual(model, model.y_);
  lapack::reflect(true, K, reflectors, data.Xy);
  data.within = Matrix::Zero(1, 1);
  data.n = n - model.p();
  data.unit = trace_ / df_;
  if (!(data.unit > 0)) return;
  const double tau = fit_rotated(data, true).at.x;
  share_ = tau / (1 + tau);
}

// y'Ky and y'y against their expectations in sigma_g2 and sigma_e2.
void SpikeSpectrum::probe(const SpikeModel& model, Random& random) {
  constexpr int kProbes = 24;
  const double size = static_cast<double>(model.m());
  const auto times_k = [&](const Vector& x) {
    const Eigen::VectorXf w = model.table_.Z.transpose() * x.cast<float>();
    return residual(model, (model.table_.Z * w).cast<double>() / size);
  };
  for (Index j = 0; j < model.m(); ++j) {
    const double whole = model.table_.Z.col(j).cast<double>().squaredNorm();
    trace_ += (whole - model.QZ_.col(j).squaredNorm()) / size;
  }
  for (int probe = 0; probe < kProbes; ++probe) {
    Vector w(model.n());
    for (Index i = 0; i < w.size(); ++i) w[i] = random.bernoulli(0.5) ? 1 : -1;
    squares_ += times_k(residual(model, w)).squaredNorm() / kProbes;
  }
  const Vector r = residual(model, model.y_);
  const double quadratic = r.dot(times_k(r)) * df_ / r.squaredNorm();
  const double spread = squares_ - trace_ * trace_ / df_;
  share_ = (quadratic - trace_) / spread * trace_ / df_;
}

// 0.5 (sum of w^2 - (sum of w)^2 / df) for log tau, w = tau d / (1 + tau d), d the
// eigenvalues: from the derivatives of log|I + tau K|, or from the mean and variance of
// d.
SpikeSpectrum::Local SpikeSpectrum::at(double h2) const {
  const double tau = std::max(h2, 1e-3) / (1 - std::max(h2, 1e-3));
  double spread = 0, mean = 0;
  if (T_.diagonal.size() > 0) {
    const TridiagonalFactor factor(T_, tau);
    const double sum = tau * factor.logdet1();
    spread = -tau * tau * factor.logdet2() - sum * sum / df_;
    mean = sum / df_;
  } else {
    const double d = trace_ / df_, w = tau * d / (1 + tau * d);
    const double slope = tau / ((1 + tau * d) * (1 + tau * d));
    spread = std::min(slope * slope * (squares_ - df_ * d * d), df_ * w * (1 - w));
    mean = w;
  }
  const double scale = tau / ((1 + tau) * (1 + tau));
  return {0.5 * std::max(spread, 1e-12) / (scale * scale), mean};
}

}  // namespace kinlmm
