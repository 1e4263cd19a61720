// The spike-and-slab model of marker effects,
//   y = X beta + sum_j z_j b_j + e,  b_j = s_j u_j,  s_j ~ Bernoulli(pi),
//   u_j ~ N(0, sigma_u2),  sigma_u2 = sigma_g2 / (m pi),  e ~ N(0, sigma_e2 I),
// sampled marker by marker, with u_j integrated out of the draw of s_j. Memory is 4 n m
// bytes for Z; nothing is m x m.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "core/genotypes.h"
#include "core/monitor.h"
#include "core/random.h"
#include "core/types.h"

namespace kinlmm {

// Markers of a source, mean-imputed, centred and scaled; those without variation are not
// among them.
struct MarkerTable {
  Eigen::MatrixXf Z;           // n x m
  std::vector<Index> markers;  // their places in the source, m
  Vector mean, scale;          // z = (count - mean) / scale, m
};

// expected: scale by sqrt(2 p (1 - p)), p the frequency of A1; else by the standard
// deviation (divisor n).
MarkerTable standardized_markers(GenotypeSource& source, bool expected, int threads,
                                 Monitor& monitor);

struct SpikeParameters {
  double pi = 0.1, sigma_g2 = 0, sigma_e2 = 1;
  Vector gamma;  // p: coefficients of Q, for ML only
};

// What all chains share. With `restricted` the fixed effects are integrated out under a
// flat prior, which is REML; else they are the parameters gamma, which is ML.
class SpikeModel {
 public:
  // Q: n x p, an orthonormal basis of the fixed effects.
  SpikeModel(MarkerTable table, Vector y, Matrix Q, bool restricted, int threads);

  Index n() const { return table_.Z.rows(); }
  Index m() const { return table_.Z.cols(); }
  Index p() const { return Q_.cols(); }
  double contrasts() const { return static_cast<double>(restricted_ ? n() - p() : n()); }
  double yy() const { return restricted_ ? yy_ - Qy_.squaredNorm() : yy_; }
  Vector genetic(const Vector& b) const;  // Z b, n
  // Slab variance.
  double slab(const SpikeParameters& at) const {
    return at.sigma_g2 / (static_cast<double>(m()) * at.pi);
  }

  MarkerTable table_;
  Vector y_;     // n
  Matrix Q_;     // n x p
  Matrix QZ_;    // p x m
  Vector Qy_;    // p
  Vector norm_;  // m: squared length of z_j, of its part orthogonal to Q if restricted,
  Vector Zy_;    // m: and its product with y
  double yy_;
  bool restricted_;
};

// Sums over sweeps of a state, r = y - Z b at their ends, and of conditional
// expectations, given all other effects, for what can have them. With f = y - Q gamma for
// ML and M y for REML, and t = f - M Z b: means of t't and f't over the updates within a
// sweep.
struct SpikeSums {
  double sweeps = 0;
  double active = 0, squares = 0;  // sum of s_j and of b_j^2: conditional expectations
  double residual = 0, cross = 0;  // r'r, y'r
  double outside = 0;              // |Q'r|^2
  Vector Qr;                       // p
  double tt = 0, ft = 0;
  double excess =
      0;  // sum of b_j^2 over the slab variance, less that of s_j: conditional
  // What was drawn less its conditional expectation, of f't, t't, sum of s_j and of
  // b_j^2: without mean, whatever the parameters
  Eigen::Array4d noise = Eigen::Array4d::Zero();
  SpikeSums& operator+=(const SpikeSums& other);
};

// Products that the parameters are functions of: with M = I - QQ' if restricted, else M =
// I, per sweep: g'My, g'Mg, where g = Z b, and Q'g.
struct SpikeProducts {
  double gy, gg;
  Vector Qg;
};
SpikeProducts spike_products(const SpikeModel& model, const SpikeSums& sums);

// Sums over sweeps for each marker, m each.
struct SpikeMeans {
  Vector inclusion, effect, square;
  double sweeps = 0;
};

class SpikeChain {
 public:
  SpikeChain(const SpikeModel& model, const Vector& b, Random random);

  // One pass over the markers, then as many moves that exchange a marker with a
  // neighbour. means: added to if not null.
  void sweep(const SpikeParameters& at, SpikeSums& sums, SpikeMeans* means);
  // The same `count` times.
  SpikeSums sweeps(const SpikeParameters& at, Index count);
  // r, without the rounding of the updates so far.
  void refresh();
  // b and r of a factor of g.
  void rescale(double factor);

  const Vector& b() const { return b_; }
  double active() const { return static_cast<double>(active_.size()); }
  double squares() const { return b_.squaredNorm(); }
  Random& random() { return random_; }

 private:
  void prepare(const SpikeParameters& at);
  void set(Index j, double value);
  double inner(Index j) const;             // z_j'r, as it enters the conditional of b_j
  double product(Index j, Index k) const;  // z_j'M z_k
  void exchange(const SpikeParameters& at);

  // t't and f't of SpikeSums
  std::array<double, 2> lengths() const;

  const SpikeModel& model_;
  Vector b_;                   // m
  Eigen::VectorXf r_;          // n
  Vector c_;                   // p: Q'r if restricted, else gamma
  Vector shrink_, base_;       // m: of the conditional mean, and log odds at z_j'r = 0
  std::vector<Index> active_;  // markers with s_j = 1, in no order,
  std::vector<Index> place_;   // and where each is among them, -1 if nowhere
  double prepared_[3] = {-1, -1, -1};
  Random random_;
};

struct SpikeOptions {
  int threads = 1;
  Index sweeps = 400;       // at most, of each chain, in the iterations
  Index each = 1;           // of each iteration
  Index draws = 100;        // sweeps at the estimate, of each chain
  double tolerance = 0.01;  // Monte-Carlo error of h2 to stop at
  std::uint64_t seed = 0;
};

struct SpikeIteration {
  double pi, sigma_g2, sigma_e2, sweeps;
  double active_spread;  // standard deviation between chains of the mean of active / m
};

struct SpikeFit {
  SpikeParameters estimate;
  std::vector<SpikeIteration> path;
  Index settled = 0;           // iterations before those that the estimate is the mean of
  bool converged = false;      // no trend, and the Monte-Carlo error of h2 is small
  double error[2] = {-1, -1};  // Monte-Carlo errors of h2 and of logit pi; -1 if unknown
  bool trend = true;
  SpikeMeans means;
  Matrix states;  // m x chains: b
  // draws * chains x (8 + p): chain, active, squares, g'My, g'Mg, conditional
  // expectations of active and squares, y'My, Q'r
  Matrix draws;
};

// Maximum likelihood from `start` by stochastic approximation; sigma_g2 NaN: from the
// optimum at pi = 1, with sigma_e2 the total. path: of what is continued, may be empty.
// states: m x chains.
SpikeFit spike_em(const SpikeModel& model, const SpikeParameters& start,
                  const Matrix& states, std::vector<SpikeIteration> path,
                  const SpikeOptions& options, Monitor& monitor);

// pi ~ Beta(a, b); sigma2 ~ df scale / chi2(df) for both variances.
struct SpikePrior {
  double a = 1, b = 1;
  double df_g = 4, scale_g = 1, df_e = 4, scale_e = 1;
};

struct SpikeDraws {
  SpikeMeans means;
  Matrix states;  // m x chains
  // kept * chains x (6 + p): chain, pi, sigma_g2, sigma_e2, active, g'Mg, Q'r
  Matrix draws;
  std::vector<SpikeParameters> at;  // of each chain, at the end
};

// Gibbs sampling. starts: one for each column of states (m x chains). The first `warmup`
// sweeps are dropped, and of the others every `thin`-th kept.
SpikeDraws spike_gibbs(const SpikeModel& model,
                       const std::vector<SpikeParameters>& starts, const Matrix& states,
                       const SpikePrior& prior, Index warmup, Index kept, Index thin,
                       int threads, std::uint64_t seed, Monitor& monitor);

}  // namespace kinlmm
