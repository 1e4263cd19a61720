#include <cmath>
#include <limits>
#include <numeric>

#include "check.h"
#include "core/spike_slab.h"

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

// No other parameters have a higher expected log-likelihood of the expanded model.
TEST(spike_maximum_is_one) {
  const Matrix Z = random_matrix(kN, kM, 2), Q = basis(2);
  const Vector y = response(Z);
  for (const bool restricted : {true, false}) {
    const SpikeModel model(table_of(Z), y, Q, restricted, 1);
    SpikeParameters at = parameters();
    if (!restricted) at.gamma = Q.transpose() * y;
    SpikeChain chain(model, Vector::Zero(kM), Random(6));
    const SpikeSums sums = chain.sweeps(at, 5);
    const SpikeProducts mean = spike_products(model, sums);
    const double k = sums.active / 5, squares = sums.squares / 5;
    const auto expected = [&](double pi, double slab, double se2, double alpha,
                              const Vector& gamma) {
      double rss = model.yy() - 2 * alpha * mean.gy + alpha * alpha * mean.gg;
      if (!restricted) {
        rss += gamma.squaredNorm() - 2 * gamma.dot(Q.transpose() * y) +
               2 * alpha * gamma.dot(mean.Qg);
      }
      return k * std::log(pi) + (kM - k) * std::log(1 - pi) - k / 2 * std::log(slab) -
             squares / (2 * slab) - model.contrasts() / 2 * std::log(se2) -
             rss / (2 * se2);
    };
    const SpikeParameters best = spike_maximum(model, sums, at);
    // the slab is that of the effects before alpha is absorbed
    const double slab = squares / k, alpha = std::sqrt(model.slab(best) / slab);
    const Vector gamma = restricted ? Vector::Zero(2) : best.gamma;
    CHECK_NEAR(best.pi, k / kM, 1e-12);
    const double top = expected(best.pi, slab, best.sigma_e2, alpha, gamma);
    for (const double step : {-1e-2, 1e-2}) {
      const Vector shifted = gamma.array() + (restricted ? 0 : step);
      CHECK(expected(best.pi + step, slab, best.sigma_e2, alpha, gamma) < top);
      CHECK(expected(best.pi, slab * (1 + step), best.sigma_e2, alpha, gamma) < top);
      CHECK(expected(best.pi, slab, best.sigma_e2 * (1 + step), alpha, gamma) < top);
      CHECK(expected(best.pi, slab, best.sigma_e2, alpha + step, gamma) < top);
      CHECK(restricted || expected(best.pi, slab, best.sigma_e2, alpha, shifted) < top);
    }
  }
}

TEST(spike_em_ends_and_goes_on) {
  const Matrix Z = random_matrix(kN, kM, 2);
  const SpikeModel model(table_of(Z), response(Z), basis(1), true, 1);
  SpikeOptions options;
  options.sweeps = 3000;
  options.draws = 20;
  Silent monitor;
  const SpikeFit fit =
      spike_em(model, parameters(), Matrix::Zero(kM, 2), {}, 0, options, monitor);
  CHECK(fit.states.cols() == 2 && fit.draws.rows() == 40);
  CHECK(fit.means.sweeps == 40);
  CHECK_NEAR(fit.estimate.pi, 3.0 / kM, 0.1);
  CHECK(fit.estimate.sigma_g2 > 1 && fit.estimate.sigma_g2 < 8);
  CHECK(fit.means.inclusion.head(3).minCoeff() / 40 > 0.99);
  options.sweeps = 50;
  const SpikeFit more =
      spike_em(model, fit.estimate, fit.states, fit.path, fit.settled, options, monitor);
  CHECK(more.path.size() > fit.path.size());
  CHECK(more.path.front().pi == fit.path.front().pi);
}
