#include <cmath>
#include <limits>
#include <numeric>

#include "check.h"
#include "core/spike_slab.h"
#include "core/spike_spectrum.h"

using namespace kinlmm;

namespace {

constexpr Index kN = 60, kM = 25;

Matrix random_matrix(Index rows, Index cols, std::uint64_t seed) {
  Random random(seed);
  Matrix out(rows, cols);
  for (Index i = 0; i < out.size(); ++i) out.data()[i] = random.normal();
  return out;
}

Matrix basis(Index p) {
  const Eigen::HouseholderQR<Matrix> qr(random_matrix(kN, p, 1));
  return qr.householderQ() * Matrix::Identity(kN, p);
}

MarkerTable table_of(const Matrix& Z) {
  MarkerTable out;
  out.Z = Z.cast<float>();
  out.mean = Vector::Zero(Z.cols());
  out.scale = Vector::Ones(Z.cols());
  for (Index j = 0; j < Z.cols(); ++j) out.markers.push_back(j);
  return out;
}

Vector response(const Matrix& Z) {
  return Z.leftCols(3).rowwise().sum() + random_matrix(kN, 1, 3);
}

SpikeParameters parameters() {
  SpikeParameters at;
  at.pi = 0.2;
  at.sigma_g2 = 2;
  at.sigma_e2 = 1;
  return at;
}

class Silent : public Monitor {};

}  // namespace

TEST(spike_markers_are_standardised) {
  Matrix G = random_matrix(kN, 3, 5).cwiseAbs().cwiseMin(2);
  G.col(1).setConstant(1);
  G(0, 2) = std::numeric_limits<double>::quiet_NaN();
  std::vector<Index> rows(kN);
  std::iota(rows.begin(), rows.end(), 0);
  MatrixSource source(G, rows, {0, 1, 2});
  Silent monitor;
  const MarkerTable sample = standardized_markers(source, false, 1, monitor);
  CHECK(sample.markers == std::vector<Index>({0, 2}));
  CHECK(sample.Z.cols() == 2);
  for (Index j = 0; j < 2; ++j) {
    CHECK_NEAR(sample.Z.col(j).sum(), 0, 1e-4);
    CHECK_NEAR(sample.Z.col(j).squaredNorm() / kN, 1, 1e-5);
  }
  CHECK(sample.Z(0, 1) == 0);
  const MarkerTable expected = standardized_markers(source, true, 1, monitor);
  const double p = G.col(0).mean() / 2;
  CHECK_NEAR(expected.scale[0], std::sqrt(2 * p * (1 - p)), 1e-12);
  CHECK_NEAR(expected.Z(4, 0), (G(4, 0) - 2 * p) / expected.scale[0], 1e-6);
}

// Fixed effects integrated out: the same chain as on the projected data.
TEST(spike_restricted_is_projected) {
  const Matrix Z = random_matrix(kN, kM, 2), Q = basis(3);
  const Vector y = response(Z);
  const Matrix MZ = Z - Q * (Q.transpose() * Z);
  const Vector My = y - Q * (Q.transpose() * y);
  const SpikeModel with(table_of(Z), y, Q, true, 1);
  const SpikeModel without(table_of(MZ), My, Matrix(kN, 0), true, 1);
  SpikeChain one(with, Vector::Zero(kM), Random(4)),
      other(without, Vector::Zero(kM), Random(4));
  const SpikeSums a = one.sweeps(parameters(), 30), b = other.sweeps(parameters(), 30);
  CHECK((one.b() - other.b()).cwiseAbs().maxCoeff() < 1e-3);
  CHECK_NEAR(a.active, b.active, 1e-2);
  const SpikeProducts of_a = spike_products(with, a), of_b = spike_products(without, b);
  CHECK_NEAR(of_a.gy, of_b.gy, 1e-2);
  CHECK_NEAR(of_a.gg, of_b.gg, 1e-2);
}

// Residuals kept through sweeps and exchanges are those of the effects.
TEST(spike_products_are_those_of_the_effects) {
  const Matrix Z = random_matrix(kN, kM, 2), Q = basis(2);
  const Vector y = response(Z);
  for (const bool restricted : {true, false}) {
    const SpikeModel model(table_of(Z), y, Q, restricted, 1);
    SpikeParameters at = parameters();
    if (!restricted) at.gamma = Q.transpose() * y;
    SpikeChain chain(model, Vector::Zero(kM), Random(6));
    chain.sweeps(at, 10);
    SpikeSums sums;
    chain.sweep(at, sums, nullptr);
    const Vector g = Z * chain.b();
    const Vector Mg = restricted ? Vector(g - Q * (Q.transpose() * g)) : g;
    const SpikeProducts products = spike_products(model, sums);
    CHECK_NEAR(products.gy, Mg.dot(y), 1e-3);
    CHECK_NEAR(products.gg, Mg.squaredNorm(), 1e-3);
    CHECK((products.Qg - Q.transpose() * g).norm() < 1e-3);
    CHECK_NEAR(static_cast<double>((chain.b().array() != 0).count()), chain.active(), 0);
    chain.rescale(0.5);
    SpikeSums after;
    chain.sweep(at, after, nullptr);
    const Vector now = Z * chain.b();
    CHECK_NEAR(spike_products(model, after).Qg.sum(), (Q.transpose() * now).sum(), 1e-3);
  }
}

// log-likelihood, over all configurations
double log_likelihood(const Matrix& Z, const Vector& y, const SpikeParameters& at) {
  const Index m = Z.cols(), n = Z.rows();
  double sum = 0, top = -std::numeric_limits<double>::infinity();
  for (int set = 0; set < (1 << m); ++set) {
    Matrix V = at.sigma_e2 * Matrix::Identity(n, n);
    double value = 0;
    for (Index j = 0; j < m; ++j) {
      const bool in = (set >> j) & 1;
      value += std::log(in ? at.pi : 1 - at.pi);
      const double slab = at.sigma_g2 / (static_cast<double>(m) * at.pi);
      if (in) V += slab * Z.col(j) * Z.col(j).transpose();
    }
    const Eigen::LLT<Matrix> root(V);
    value -= root.matrixLLT().diagonal().array().log().sum() + 0.5 * y.dot(root.solve(y));
    const double more = std::max(top, value);
    sum = sum * std::exp(top - more) + std::exp(value - more);
    top = more;
  }
  return top + std::log(sum);
}

// Both forms of the score of sigma_g2, and those of pi and sigma_e2, are derivatives of
// the log-likelihood, and the noise of the draws has no mean.
TEST(spike_scores_are_those_of_the_likelihood) {
  constexpr Index m = 6;
  constexpr int kSweeps = 40000;
  const Matrix Z = 0.4 * random_matrix(kN, m, 2), Q = basis(2);
  const Vector y = Z.leftCols(3).rowwise().sum() + random_matrix(kN, 1, 3);
  const Eigen::HouseholderQR<Matrix> qr(Q);
  const Matrix A = Matrix(qr.householderQ()).rightCols(kN - 2);
  for (const bool restricted : {true, false}) {
    const SpikeModel model(table_of(Z), y, Q, restricted, 1);
    SpikeParameters at = parameters();
    if (!restricted) at.gamma = Q.transpose() * y + Vector::Constant(2, 0.3);
    const Matrix Z1 = restricted ? Matrix(A.transpose() * Z) : Z;
    const Vector y1 = restricted ? Vector(A.transpose() * y) : Vector(y - Q * at.gamma);
    SpikeChain chain(model, Vector::Zero(m), Random(6));
    const SpikeSums sums = chain.sweeps(at, kSweeps);
    const auto slope = [&](auto&& change) {
      constexpr double kStep = 1e-4;
      SpikeParameters up = at, down = at;
      change(up, kStep);
      change(down, -kStep);
      return (log_likelihood(Z1, y1, up) - log_likelihood(Z1, y1, down)) / (2 * kStep);
    };
    const double of_g =
        slope([](SpikeParameters& x, double step) { x.sigma_g2 *= std::exp(step); });
    CHECK_NEAR(0.5 * (sums.ft - sums.tt) / kSweeps / at.sigma_e2, of_g, 0.05);
    CHECK_NEAR(0.5 * sums.excess / kSweeps, of_g, 0.05);
    const double of_e =
        slope([](SpikeParameters& x, double step) { x.sigma_e2 *= std::exp(step); });
    CHECK_NEAR(0.5 * (sums.tt / kSweeps / at.sigma_e2 - model.contrasts()), of_e, 0.05);
    const double of_pi = slope([](SpikeParameters& x, double step) {
      x.pi = 1 / (1 + (1 - x.pi) / x.pi * std::exp(-step));
    });
    CHECK_NEAR(sums.active / kSweeps - m * at.pi - (1 - at.pi) * of_g, of_pi, 0.05);
    CHECK((sums.noise / kSweeps).abs().maxCoeff() < 0.1);
  }
}

// The start and the information against the dense matrix.
TEST(spike_spectrum_is_that_of_the_matrix) {
  const Matrix Z = random_matrix(kN, kM, 2), Q = basis(2);
  const SpikeModel model(table_of(Z), response(Z), Q, true, 1);
  Random random(1);
  const SpikeSpectrum spectrum(model, random);
  const Matrix MZ = Z - Q * (Q.transpose() * Z);
  const Eigen::SelfAdjointEigenSolver<Matrix> eigen(MZ * MZ.transpose() / kM);
  const double h2 = 0.3, tau = h2 / (1 - h2);
  const Eigen::ArrayXd d = eigen.eigenvalues().array().max(0);
  const Eigen::ArrayXd w = tau * d / (1 + tau * d);
  const double expected = 0.5 * (w.square().sum() - w.sum() * w.sum() / (kN - 2));
  CHECK_NEAR(spectrum.at(h2).information * h2 * h2 * (1 - h2) * (1 - h2), expected, 1e-4);
  CHECK_NEAR(spectrum.at(h2).fall, w.sum() / (kN - 2), 1e-6);
  const auto deviance = [&](double share) {
    const double at = share / (1 - share);
    const Vector rotated =
        eigen.eigenvectors().transpose() * (model.y_ - Q * (Q.transpose() * model.y_));
    const double s = (rotated.array().square() / (1 + at * d)).sum();
    return (1 + at * d).log().sum() + (kN - 2) * std::log(s);
  };
  const double best = deviance(spectrum.share());
  CHECK(deviance(spectrum.share() + 1e-3) > best);
  CHECK(deviance(spectrum.share() - 1e-3) > best);
}

TEST(spike_em_ends_and_goes_on) {
  const Matrix Z = random_matrix(kN, kM, 2);
  const SpikeModel model(table_of(Z), response(Z), basis(1), true, 1);
  SpikeOptions options;
  options.sweeps = 3000;
  options.draws = 20;
  Silent monitor;
  const SpikeFit fit =
      spike_em(model, parameters(), Matrix::Zero(kM, 2), {}, options, monitor);
  CHECK(fit.states.cols() == 2 && fit.draws.rows() == 40);
  CHECK(fit.means.sweeps == 40);
  CHECK_NEAR(fit.estimate.pi, 3.0 / kM, 0.1);
  CHECK(fit.estimate.sigma_g2 > 1 && fit.estimate.sigma_g2 < 8);
  CHECK(fit.means.inclusion.head(3).minCoeff() / 40 > 0.99);
  options.sweeps = 50;
  const SpikeFit more =
      spike_em(model, fit.estimate, fit.states, fit.path, options, monitor);
  CHECK(more.path.size() > fit.path.size());
  CHECK(more.path.front().pi == fit.path.front().pi);
}
