#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "core/parallel.h"
#include "core/spike_slab.h"
#include "core/spike_spectrum.h"

namespace kinlmm {

namespace {

constexpr Index kRound = 10;   // iterations between decisions
constexpr Index kBatches = 8;  // that Monte-Carlo errors come from
// Iterations of the least window that an error is worth having of, and sweeps in it.
constexpr Index kWindow = 32;
constexpr double kLeastSweeps = 200;
// Quantile 0.975 of Student's t for kBatches - 2 degrees of freedom.
constexpr double kBatchT = 2.447;
constexpr double kLeastShare = 1e-4;  // the slab must have a variance
constexpr double kMostShare = 0.9999;
constexpr double kLongest = 0.1;  // step of logit pi and of log sigma_e2
constexpr double kMostLogit = 12;
// Below this many multiplications threads cost more than they save.
constexpr double kThreadWork = 1e6;

using Path = std::vector<SpikeIteration>;

std::vector<SpikeChain> make_chains(const SpikeModel& model, const Matrix& states,
                                    std::uint64_t seed) {
  std::vector<SpikeChain> out;
  for (Index c = 0; c < states.cols(); ++c) {
    out.emplace_back(model, states.col(c), Random(seed, static_cast<std::uint64_t>(c)));
  }
  return out;
}

double share(const SpikeIteration& at) {
  return at.sigma_g2 / (at.sigma_g2 + at.sigma_e2);
}

double logit(double x) {
  return std::log(x) - std::log1p(-x);
}
double expit(double x) {
  return 1 / (1 + std::exp(-x));
}
double within(double x, double most) {
  return std::min(most, std::max(-most, x));
}

// Scores with respect to h2 / (1 - h2) (of h2, times 1 - h2), to logit pi, and to log
// sigma_e2 at the same h2: Fisher's identity at draws of s_j and b_j.
using Scores = Eigen::Array3d;
constexpr Index kControls = 5;
using Controls = Eigen::Matrix<double, kControls, 1>;

// Scores less their regression on what is known to have the mean zero: two forms of the
// score of sigma_g2 less each other, and the noise of the draws, now and one iteration
// ago.
class Controlled {
 public:
  Scores operator()(const Scores& raw, const Controls& now, double h2, double logit_pi) {
    Row row;
    row << now, last_, h2, std::isfinite(logit_pi) ? logit_pi : 0.0;
    last_ = now;
    raw_.push_back(raw);
    rows_.push_back(row);
    out_.push_back(raw - (coefficients_ * row.head(2 * kControls)).array());
    return out_.back();
  }

  // What moves the scores along the path is taken out as well, but is no noise.
  void learn() {
    constexpr Index kLeast = 40, kMost = 400;
    const Index size = std::min(kMost, static_cast<Index>(rows_.size()) - 1);
    if (size < kLeast) return;
    Matrix X(size, Row::SizeAtCompileTime), Y(size, 3);
    for (Index i = 0; i < size; ++i) {
      const auto at = rows_.size() - static_cast<std::size_t>(size - i);
      X.row(i) = rows_[at].transpose();
      Y.row(i) = raw_[at].matrix().transpose();
    }
    X.rowwise() -= X.colwise().mean().eval();
    Y.rowwise() -= Y.colwise().mean().eval();
    Matrix A = X.transpose() * X;
    A.diagonal() *= 1 + 1e-4;
    A.diagonal().array() += 1e-100;
    const Matrix all = A.ldlt().solve(X.transpose() * Y);
    if (all.allFinite()) coefficients_ = all.topRows(2 * kControls).transpose();
  }

  // Of the last iterations, at most `count`.
  std::vector<Scores> recent(Index count) const {
    const auto size = std::min(static_cast<std::size_t>(count), out_.size());
    return {out_.end() - static_cast<std::ptrdiff_t>(size), out_.end()};
  }

 private:
  using Row = Eigen::Matrix<double, 2 * kControls + 2, 1>;
  std::vector<Row> rows_;
  std::vector<Scores> raw_, out_;
  Controls last_ = Controls::Zero();
  Eigen::Matrix<double, 3, 2 * kControls> coefficients_ =
      Eigen::Matrix<double, 3, 2 * kControls>::Zero();
};

// What a step of logit pi is divided by: the information of known s_j and b_j, with which
// steps are those of EM, times a share that falls as long as scores have the same sign
// and grows when they alternate (Kesten 1958). The share of what the data tell may be
// tiny.
class PiInformation {
 public:
  void add(double score) {
    constexpr double kFall = 0.88, kGrow = 1.2, kLeast = 0.006;
    if (last_ != 0) share_ *= score * last_ > 0 ? kFall : kGrow;
    share_ = std::min(1.0, std::max(kLeast, share_));
    last_ = score;
  }
  double operator()(double m, double pi) const {
    constexpr double kLeast = 5;
    const double known = m * pi * (1 - pi) + 0.5 * (1 - pi) * (1 - pi) * m * pi;
    return std::max(kLeast, share_ * known);
  }

 private:
  double share_ = 0.05, last_ = 0;
};

// Robbins and Monro's gains, whose path is averaged (Polyak and Juditsky 1992).
double gain(std::size_t iteration) {
  constexpr double kDelay = 20, kPower = -0.65;
  return std::pow(1 + static_cast<double>(iteration) / kDelay, kPower);
}

class Ascent {
 public:
  Ascent(const SpikeModel& model, const SpikeSpectrum& spectrum, SpikeParameters start)
      : model_(model), spectrum_(spectrum), at_(std::move(start)) {}

  const SpikeParameters& at() const { return at_; }
  double h2() const { return at_.sigma_g2 / (at_.sigma_g2 + at_.sigma_e2); }

  // From sums over all chains at the present parameters.
  void step(const SpikeSums& sums, std::size_t iteration) {
    const double m = static_cast<double>(model_.m()), n = sums.sweeps;
    const double share = h2(), fall = spectrum_.at(share).fall;
    const double x = logit(at_.pi), df = model_.contrasts();
    const double ft = sums.ft / n / at_.sigma_e2, tt = sums.tt / n / at_.sigma_e2;
    // of log sigma_g2, from the residuals and from the effects
    const double one = 0.5 * (ft - tt), other = 0.5 * sums.excess / n;
    const double of_g = share * one + (1 - share) * other, of_both = 0.5 * (ft - df);
    Controls controls;
    controls << one - other, (sums.noise / n).matrix();
    const Scores raw((of_g - fall * of_both) / share,
                     sums.active / n - m * at_.pi - (1 - at_.pi) * of_g, of_both);
    const Scores score = controlled_(raw, controls, share, x);
    of_pi_.add(score[1]);
    const double rate = gain(iteration);
    const double move = score[0] / (1 - share) / information(share);
    // effects lag behind: scores that alternate say that steps are too long for them
    constexpr double kFall = 0.88, kGrow = 1.12, kLeast = 0.03, kLongestShare = 0.05;
    if (last_ != 0) damp_ *= move * last_ > 0 ? kGrow : kFall;
    damp_ = std::min(1.0, std::max(kLeast, damp_));
    last_ = move;
    const double step = within(first_ * damp_ * rate * move, kLongestShare);
    const double to = std::min(kMostShare, std::max(kLeastShare, share + step));
    const double log_e2 =
        within(2 * rate * score[2] / df, kLongest) - fall * (logit(to) - logit(share));
    if (std::isfinite(x)) {
      // states follow pi within some sweeps: late steps that are as long would overshoot
      const double longer = rate * std::min(3.0, std::sqrt(n));
      const double of_x = 0.5 * rate * score[1] / of_pi_(m, at_.pi);
      const double least = logit(std::min(0.5, 1 / m));
      at_.pi = expit(
          std::min(kMostLogit, std::max(least, x + within(of_x, kLongest * longer))));
    }
    at_.sigma_e2 *= std::exp(log_e2);
    at_.sigma_g2 = at_.sigma_e2 * to / (1 - to);
    if (!model_.restricted_) {
      const Vector now = model_.Qy_ - spike_products(model_, sums).Qg;
      at_.gamma += rate * (now - at_.gamma);
    }
  }
  void learn() {
    controlled_.learn();
    constexpr double kStep = 0.02, kLeast = 0.15, kMost = 0.5;
    const std::vector<Scores> recent = controlled_.recent(100);
    double mean = 0, square = 0;
    for (const Scores& one : recent) {
      mean += one[0] / static_cast<double>(recent.size());
      square += one[0] * one[0] / static_cast<double>(recent.size());
    }
    const double share = h2(), noise = std::sqrt(std::max(square - mean * mean, 1e-300)) /
                                       (1 - share) / information(share);
    first_ = std::min(kMost, std::max(kLeast, kStep / noise));
  }

  // Monte-Carlo errors of the means of h2 and logit pi over the last iterations: those of
  // the mean scores over the information. Scores that answer where the path goes are put
  // at its mean. -1 if unknown.
  std::array<double, 2> errors(const Path& path, Index count, double mean_h2,
                               double mean_x) const {
    const std::vector<Scores> scores = controlled_.recent(count);
    const Index size = static_cast<Index>(scores.size());
    if (size < kWindow) return {-1, -1};
    const double m = static_cast<double>(model_.m());
    const double on_h2 = information(mean_h2), on_x = of_pi_(m, expit(mean_x));
    Matrix batches = Matrix::Zero(kBatches, 2);
    for (Index i = 0; i < size; ++i) {
      const SpikeIteration& from = path[path.size() - static_cast<std::size_t>(size - i)];
      const Index batch = i * kBatches / size;
      const auto at = static_cast<std::size_t>(i);
      const double h2 = share(from);
      batches(batch, 0) += scores[at][0] / (1 - h2) / on_h2 + h2;
      if (from.pi < 1) batches(batch, 1) += scores[at][1] / on_x + logit(from.pi);
    }
    batches *= static_cast<double>(kBatches) / static_cast<double>(size);
    std::array<double, 2> out;
    for (Index k = 0; k < 2; ++k) {
      const double spread =
          (batches.col(k).array() - batches.col(k).mean()).square().sum();
      out[static_cast<std::size_t>(k)] = std::sqrt(spread / (kBatches - 1) / kBatches);
    }
    return out;
  }

 private:
  // On h2: that of all markers' effects, and no more than m pi known effects give.
  double information(double h2) const {
    const double scale = h2 * (1 - h2);
    const double known =
        0.5 * (1 + static_cast<double>(model_.m()) * at_.pi) / (scale * scale);
    return 1 / (1 / known + 1 / spectrum_.at(h2).information);
  }

  const SpikeModel& model_;
  const SpikeSpectrum& spectrum_;
  SpikeParameters at_;
  Controlled controlled_;
  PiInformation of_pi_;
  double damp_ = 1, last_ = 0;
  double first_ = 0.15;  // the first gain of h2, by which noise moves it a little
};

// Means of eight batches of the path, of h2 and logit pi, and whether they have a trend.
struct Batches {
  double error[2] = {0, 0}, change[2] = {0, 0};
  bool trend[2] = {false, false};
};
Batches batches_of(const Path& path, Index count) {
  Batches out;
  const Vector index = Vector::LinSpaced(kBatches, -1, 1);
  for (int k = 0; k < 2; ++k) {
    Vector value = Vector::Zero(kBatches), size = Vector::Zero(kBatches);
    for (Index i = 0; i < count; ++i) {
      const SpikeIteration& at = path[path.size() - static_cast<std::size_t>(count - i)];
      const Index batch = i * kBatches / count;
      value[batch] += k == 0 ? share(at) : std::min(kMostLogit, logit(at.pi));
      size[batch] += 1;
    }
    value = value.cwiseQuotient(size).eval();
    value.array() -= value.mean();
    const double squares = value.squaredNorm(), slope = index.dot(value);
    const double explained = slope * slope / index.squaredNorm();
    const double left = std::max(squares - explained, 0.0) / (kBatches - 2);
    out.change[k] = 2 * slope / index.squaredNorm();
    out.trend[k] = explained > kBatchT * kBatchT * left + 1e-12;
    out.error[k] = std::sqrt(squares / (kBatches - 1) / kBatches);
  }
  return out;
}

// The estimate, as the mean of the path from `settled` on, and what is known of its
// error.
void assess(const Path& path, const Ascent& ascent, double tolerance, SpikeFit& fit) {
  const Index count = static_cast<Index>(path.size()) - fit.settled;
  const double size = static_cast<double>(count);
  double h2 = 0, x = 0, total = 0, bound = 0, sweeps = 0;
  for (Index t = fit.settled; t < fit.settled + count; ++t) {
    const SpikeIteration& at = path[static_cast<std::size_t>(t)];
    h2 += share(at) / size;
    x += logit(at.pi) / size;
    total += (at.sigma_g2 + at.sigma_e2) / size;
    if (share(at) <= 1.001 * kLeastShare) bound += 1 / size;
    sweeps += at.sweeps;
  }
  if (bound > 0.5) h2 = kLeastShare;
  fit.estimate = ascent.at();
  fit.estimate.pi = expit(x);
  fit.estimate.sigma_g2 = h2 * total;
  fit.estimate.sigma_e2 = (1 - h2) * total;
  fit.converged = false;
  fit.trend = true;
  fit.error[0] = fit.error[1] = -1;
  const auto errors = ascent.errors(path, count, h2, x);
  if (count < kWindow || errors[0] < 0) return;
  const Batches batches = batches_of(path, count);
  // a path of pi that goes nowhere in particular is no matter, where the data say little
  constexpr double kLittle = 0.5;
  fit.trend = (batches.trend[0] && std::abs(batches.change[0]) > tolerance) ||
              (batches.trend[1] && std::abs(batches.change[1]) > kLittle);
  fit.error[0] = std::max(batches.error[0], errors[0]);
  fit.error[1] = std::max(batches.error[1], errors[1]) * (1 - fit.estimate.pi);
  fit.converged = !fit.trend && sweeps >= kLeastSweeps && fit.error[0] <= tolerance;
}

// Sweeps of all chains.
SpikeSums sweep_all(const SpikeModel& model, std::vector<SpikeChain>& chains, Index count,
                    int threads, const SpikeParameters& at, double& spread) {
  std::vector<SpikeSums> sums(chains.size());
  parallel_for(static_cast<Index>(chains.size()), threads, [&](Index c) {
    sums[static_cast<std::size_t>(c)] =
        chains[static_cast<std::size_t>(c)].sweeps(at, count);
  });
  SpikeSums all;
  double mean = 0, square = 0;
  for (const SpikeSums& one : sums) {
    all += one;
    const double active = one.active / one.sweeps / static_cast<double>(model.m());
    mean += active / static_cast<double>(chains.size());
    square += active * active / static_cast<double>(chains.size());
  }
  spread = std::sqrt(std::max(square - mean * mean, 0.0));
  return all;
}

// Sweeps at the estimate.
void draw(const SpikeModel& model, std::vector<SpikeChain>& chains, Index count,
          int threads, Monitor& monitor, SpikeFit& fit) {
  const Index width = 8 + model.p(), m = model.m();
  const Index size = static_cast<Index>(chains.size());
  fit.draws.resize(count * size, width);
  std::vector<SpikeMeans> means(chains.size(),
                                {Vector::Zero(m), Vector::Zero(m), Vector::Zero(m), 0});
  constexpr Index kBlock = 5;
  for (Index from = 0; from < count; from += kBlock) {
    parallel_for(size, threads, [&](Index c) {
      SpikeChain& chain = chains[static_cast<std::size_t>(c)];
      if (from % (5 * kBlock) == 0) chain.refresh();
      for (Index i = from; i < std::min(from + kBlock, count); ++i) {
        SpikeSums sums;
        chain.sweep(fit.estimate, sums, &means[static_cast<std::size_t>(c)]);
        const SpikeProducts at = spike_products(model, sums);
        auto row = fit.draws.row(c * count + i);
        row.head(8) << static_cast<double>(c + 1), chain.active(), chain.squares(), at.gy,
            at.gg, sums.active, sums.squares, model.yy();
        row.tail(model.p()) = sums.Qr.transpose();
      }
    });
    monitor.tick(from, count);
  }
  fit.means = means[0];
  for (std::size_t c = 1; c < means.size(); ++c) {
    fit.means.inclusion += means[c].inclusion;
    fit.means.effect += means[c].effect;
    fit.means.square += means[c].square;
    fit.means.sweeps += means[c].sweeps;
  }
}

void ascend(const SpikeModel& model, std::vector<SpikeChain>& chains,
            SpikeParameters start, int threads, const SpikeOptions& options,
            Monitor& monitor, SpikeFit& fit) {
  Random random(options.seed, 1u << 20);
  const SpikeSpectrum spectrum(model, random);
  monitor.tick(0, options.sweeps);
  if (std::isnan(start.sigma_g2)) {
    start.sigma_g2 = spectrum.share() * start.sigma_e2;
    start.sigma_e2 -= start.sigma_g2;
  }
  if (fit.path.empty()) {
    // every other chain starts with all markers active, the others with none
    SpikeParameters full = start;
    full.pi = 1;
    for (std::size_t c = 1; c < chains.size(); c += 2) chains[c].sweeps(full, 1);
  }
  Ascent ascent(model, spectrum, start);
  for (Index done = 0; done < options.sweeps && !fit.converged;) {
    for (Index t = 0; t < kRound; ++t, done += options.each) {
      const SpikeParameters at = ascent.at();
      double spread = 0;
      const SpikeSums sums = sweep_all(model, chains, options.each, threads, at, spread);
      ascent.step(sums, fit.path.size());
      fit.path.push_back(
          {at.pi, at.sigma_g2, at.sigma_e2, static_cast<double>(options.each), spread});
      monitor.tick(std::min(done + options.each, options.sweeps), options.sweeps);
    }
    ascent.learn();
    // the longest part of the path without a trend
    for (const Index of : {2, 3, 4}) {
      fit.settled = static_cast<Index>(fit.path.size()) * (of - 1) / (of + 2);
      assess(fit.path, ascent, options.tolerance, fit);
      if (!fit.trend) break;
    }
  }
}

}  // namespace

SpikeFit spike_em(const SpikeModel& model, const SpikeParameters& start,
                  const Matrix& states, std::vector<SpikeIteration> path,
                  const SpikeOptions& options, Monitor& monitor) {
  std::vector<SpikeChain> chains = make_chains(model, states, options.seed);
  const double work = static_cast<double>(model.n()) * static_cast<double>(model.m());
  const int threads =
      work * static_cast<double>(options.each) > kThreadWork ? options.threads : 1;
  SpikeFit fit;
  fit.estimate = start;
  fit.path = std::move(path);
  if (options.sweeps > 0) ascend(model, chains, start, threads, options, monitor, fit);
  if (options.draws > 0) draw(model, chains, options.draws, threads, monitor, fit);
  fit.states.resize(model.m(), static_cast<Index>(chains.size()));
  for (std::size_t c = 0; c < chains.size(); ++c) {
    fit.states.col(static_cast<Index>(c)) = chains[c].b();
  }
  return fit;
}

}  // namespace kinlmm
