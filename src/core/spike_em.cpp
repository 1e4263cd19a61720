#include <algorithm>
#include <array>
#include <cmath>

#include "core/parallel.h"
#include "core/spike_slab.h"

namespace kinlmm {

namespace {

constexpr Index kRound = 10;   // iterations between decisions
constexpr Index kBatches = 8;  // that Monte-Carlo errors come from
// Iterations of the least window that an error is worth having of: a batch should be
// longer than the memory of the path.
constexpr Index kWindow = 32;
// An EM step is stretched by at most this, and ends at most so far on the logit scale.
constexpr double kStretch = 10, kLongest = 0.7;
constexpr double kLeastSweeps = 400;  // in that window
// Quantiles 0.975 of Student's t for kRound - 1 and kBatches - 2 degrees of freedom.
constexpr double kRoundT = 2.262, kBatchT = 2.447;
// h2 of the path is at least this: near 0 the likelihood is flat in log sigma_g2, and
// chance would keep the path there.
constexpr double kLeastShare = 0.003;
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

// Iterations that the first quarter of all sweeps was spent on: chains move more slowly
// than ten iterations show.
Index quarter(const Path& path) {
  double total = 0, before = 0;
  for (const SpikeIteration& at : path) total += at.sweeps;
  Index out = 0;
  for (; before < total / 4; ++out) before += path[static_cast<std::size_t>(out)].sweeps;
  return out;
}

// Whether no parameter moved by more than its changes within the round tell from noise.
bool swamped(const Path& path, const SpikeParameters& start) {
  const std::size_t last = path.size() - 1, first = path.size() - kRound;
  const auto values = [&](const SpikeIteration& at) {
    return Eigen::Array3d(std::log(at.pi), std::log(at.sigma_g2), std::log(at.sigma_e2));
  };
  const Eigen::Array3d origin =
      first > 0 ? values(path[first - 1])
                : values({start.pi, start.sigma_g2, start.sigma_e2, 0, 0});
  const Eigen::Array3d mean = (values(path[last]) - origin) / kRound;
  Eigen::Array3d spread = Eigen::Array3d::Zero(), before = origin;
  for (std::size_t t = first; t <= last; ++t) {
    const Eigen::Array3d now = values(path[t]);
    spread += (now - before - mean).square();
    before = now;
  }
  const Eigen::Array3d error = (spread / (kRound - 1) / kRound).sqrt();
  return (mean.abs() <= kRoundT * error + 1e-8).all();
}

double logit(double x) {
  return std::log(x) - std::log1p(-x);
}
double expit(double x) {
  return 1 / (1 + std::exp(-x));
}

// Aitken's acceleration of EM: an EM step from x goes rate (x* - x), so that 1 / rate
// times the step gets to x*. The rate is the slope of the steps that were made on where
// they started.
class Stretch {
 public:
  // From where EM goes to when it starts at x, both logits, to where the iterations go.
  double operator()(double x, double to) {
    if (!std::isfinite(x) || !std::isfinite(to)) return to;
    x_.push_back(x);
    step_.push_back(to - x);
    return x + std::min(kLongest, std::max(-kLongest, factor_ * (to - x)));
  }
  void learn() {
    constexpr Index kLeast = 20, kMost = 60;
    const Index size = std::min(kMost, static_cast<Index>(x_.size()));
    if (size < kLeast) return;
    const double rate = fit(size).rate;
    // short of all the way, as the rate is uncertain
    const double factor = std::min(kStretch, 0.7 / std::max(rate, 0.01));
    factor_ = std::max({1.0, factor_ / 2, std::min(factor, 2 * factor_)});
  }

  // Monte-Carlo error of the mean of the last `count` points: that of the mean step, over
  // the rate at which EM would make it good. 0 if x was never finite, -1 if unknown.
  double error(Index count) const {
    const Index size = std::min(count, static_cast<Index>(x_.size()));
    if (x_.empty()) return 0;
    if (size < kWindow) return -1;
    Vector means(kBatches);
    const double* from = step_.data() + (step_.size() - size);
    for (Index b = 0; b < kBatches; ++b) {
      const Index first = b * size / kBatches, last = (b + 1) * size / kBatches;
      means[b] = Eigen::Map<const Vector>(from + first, last - first).mean();
    }
    const double spread = (means.array() - means.mean()).square().sum();
    const Slope slope = fit(size);
    const double rate = std::max({slope.rate - slope.error, slope.rate / 4, 0.01});
    return std::sqrt(spread / (kBatches - 1) / kBatches) / std::min(rate, 1.0);
  }

 private:
  struct Slope {
    double rate, error;
  };
  // Least squares of the last `size` steps on where they started.
  Slope fit(Index size) const {
    Vector x = Eigen::Map<const Vector>(x_.data() + (x_.size() - size), size);
    Vector step = Eigen::Map<const Vector>(step_.data() + (step_.size() - size), size);
    x.array() -= x.mean();
    step.array() -= step.mean();
    const double squares = std::max(x.squaredNorm(), 1e-300),
                 rate = -x.dot(step) / squares;
    const double left = (step + rate * x).squaredNorm() / static_cast<double>(size - 2);
    return {rate, std::sqrt(left / squares)};
  }

  std::vector<double> x_, step_;
  double factor_ = 1.8;  // EM's rates are between 0 and 1: this is always stable
};

// The estimate, as the mean of the path from `settled` on, and what is known of its
// error.
void assess(const Path& path, const std::array<Stretch, 2>& stretch, double tolerance,
            SpikeFit& fit) {
  const Index count = static_cast<Index>(path.size()) - fit.settled;
  double total = 0;
  for (Index t = fit.settled; t < fit.settled + count; ++t) total += path[t].sweeps;
  SpikeParameters& mean = fit.estimate;
  mean.pi = mean.sigma_g2 = mean.sigma_e2 = 0;
  Matrix batches = Matrix::Zero(kBatches, 3);  // h2, log pi, weight
  double before = 0;
  for (Index t = fit.settled; t < fit.settled + count; ++t) {
    const SpikeIteration& at = path[t];
    mean.pi += at.pi * at.sweeps / total;
    mean.sigma_g2 += at.sigma_g2 * at.sweeps / total;
    mean.sigma_e2 += at.sigma_e2 * at.sweeps / total;
    const double middle = (before + 0.5 * at.sweeps) / total;
    const Index batch = std::min(
        kBatches - 1, static_cast<Index>(middle * static_cast<double>(kBatches)));
    batches(batch, 0) += at.sweeps * share(at);
    batches(batch, 1) += at.sweeps * std::log(at.pi);
    batches(batch, 2) += at.sweeps;
    before += at.sweeps;
  }
  mean.pi = std::min(mean.pi, 1.0);
  fit.converged = false;
  fit.trend = true;
  fit.error[0] = fit.error[1] = -1;
  if (count < kWindow || !(batches.col(2).array() > 0).all()) return;
  fit.trend = false;
  const Vector index = Vector::LinSpaced(kBatches, -1, 1);
  for (int k = 0; k < 2; ++k) {
    Vector value = batches.col(k).cwiseQuotient(batches.col(2));
    value.array() -= value.mean();
    const double squares = value.squaredNorm(), slope = index.dot(value);
    const double explained = slope * slope / index.squaredNorm();
    const double left = std::max(squares - explained, 0.0) / (kBatches - 2);
    if (explained > kBatchT * kBatchT * left + 1e-12) fit.trend = true;
    fit.error[k] = std::sqrt(squares / (kBatches - 1) / kBatches);
  }
  // the path may be slower than batches can tell
  const double h2 = mean.sigma_g2 / (mean.sigma_g2 + mean.sigma_e2);
  const double of_h2 = stretch[1].error(count), of_pi = stretch[0].error(count);
  if (of_h2 < 0 || of_pi < 0) return;
  fit.error[0] = std::max(fit.error[0], of_h2 * h2 * (1 - h2));
  fit.error[1] = std::max(fit.error[1], of_pi * (1 - mean.pi));
  fit.converged = !fit.trend && total >= kLeastSweeps && fit.error[0] <= tolerance &&
                  fit.error[1] <= 10 * tolerance;
}

SpikeIteration em_step(const SpikeModel& model, std::vector<SpikeChain>& chains,
                       Index count, int threads, std::array<Stretch, 2>& stretch,
                       SpikeParameters& at) {
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
  SpikeParameters next = spike_maximum(model, all, at);
  next.pi = expit(stretch[0](logit(at.pi), logit(next.pi)));
  const double total = next.sigma_g2 + next.sigma_e2;
  const double h2 =
      std::max(kLeastShare, expit(stretch[1](std::log(at.sigma_g2 / at.sigma_e2),
                                             std::log(next.sigma_g2 / next.sigma_e2))));
  next.sigma_g2 = h2 * total;
  next.sigma_e2 = (1 - h2) * total;
  at = next;
  return {at.pi, at.sigma_g2, at.sigma_e2, static_cast<double>(count),
          std::sqrt(std::max(square - mean * mean, 0.0))};
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

}  // namespace

SpikeFit spike_em(const SpikeModel& model, const SpikeParameters& start,
                  const Matrix& states, std::vector<SpikeIteration> path, Index settled,
                  const SpikeOptions& options, Monitor& monitor) {
  std::vector<SpikeChain> chains = make_chains(model, states, options.seed);
  const double work = static_cast<double>(model.n()) * static_cast<double>(model.m());
  const int threads =
      work * static_cast<double>(options.first) > kThreadWork ? options.threads : 1;
  SpikeFit fit;
  fit.estimate = start;
  fit.path = std::move(path);
  fit.settled = settled;
  SpikeParameters at = start;
  Index count =
      fit.path.empty() ? options.first : static_cast<Index>(fit.path.back().sweeps);
  if (fit.path.empty()) {
    // every other chain starts with all markers active, the others with none
    SpikeParameters full = start;
    full.pi = 1;
    for (std::size_t c = 1; c < chains.size(); c += 2) chains[c].sweeps(full, 1);
  }
  std::array<Stretch, 2> stretch;  // of pi and of h2
  Index done = 0;
  while (done < options.sweeps) {
    const SpikeParameters origin = at;
    for (Index t = 0; t < kRound; ++t) {
      fit.path.push_back(em_step(model, chains, count, threads, stretch, at));
      done += count;
      monitor.tick(std::min(done, options.sweeps), options.sweeps);
    }
    for (Stretch& one : stretch) one.learn();
    const bool noise = swamped(fit.path, origin);
    if (fit.settled == 0 && noise) fit.settled = static_cast<Index>(fit.path.size());
    if (fit.settled > 0) fit.settled = std::max(fit.settled, quarter(fit.path));
    const Index window = static_cast<Index>(fit.path.size()) - fit.settled;
    if (fit.settled > 0 && window > 0) {
      assess(fit.path, stretch, options.tolerance, fit);
      fit.estimate.gamma = at.gamma;
      if (fit.converged) break;
      // what still moves was not settled
      if (fit.trend && fit.error[0] >= 0) fit.settled += window / 2;
    }
    // more sweeps only as long as enough iterations are left for an assessment
    const Index more = (3 * count + 1) / 2;
    if (noise && more * kWindow <= options.sweeps - done) count = more;
  }
  if (fit.path.size() > 0 && static_cast<Index>(fit.path.size()) == fit.settled) {
    fit.settled -= kRound;
  }
  if (options.sweeps > 0 && !fit.converged) {
    if (fit.settled == 0) fit.settled = static_cast<Index>(fit.path.size()) / 2;
    assess(fit.path, stretch, options.tolerance, fit);
    fit.estimate.gamma = at.gamma;
  }
  if (options.draws > 0) draw(model, chains, options.draws, threads, monitor, fit);
  fit.states.resize(model.m(), static_cast<Index>(chains.size()));
  for (std::size_t c = 0; c < chains.size(); ++c) {
    fit.states.col(static_cast<Index>(c)) = chains[c].b();
  }
  return fit;
}

}  // namespace kinlmm
