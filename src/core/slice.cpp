#include "core/slice.h"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <utility>

#include "core/error.h"
#include "core/parallel.h"

namespace kinlmm {

namespace {

// Of the first interval, in standard deviations: about the length of a slice.
constexpr double kWidth = 2.5;
constexpr int kMaxSteps = 100;
constexpr int kMaxShrinks = 200;
// Iterations between two looks at the monitor.
constexpr Index kBlock = 20;
// Of the t distribution of jump().
constexpr double kFreedom = 5;
// Where evaluations are dear: the share of the warm-up that is a pilot run by sweeps, and
// after it the iterations of which one is a sweep.
constexpr Index kPilot = 5, kSweepOf = 25;

struct Spread {
  Vector mean;
  Matrix root;  // the Cholesky factor of the covariance
};

// Of draws from `from` on. So few may lie in a plane: correlations are drawn towards
// zero.
Spread spread_of(const std::vector<Vector>& draws, std::size_t from) {
  const Index size = draws.back().size();
  const double n = static_cast<double>(draws.size() - from);
  Spread out{Vector::Zero(size), Matrix::Zero(size, size)};
  for (std::size_t i = from; i < draws.size(); ++i) out.mean += draws[i] / n;
  Matrix covariance = Matrix::Zero(size, size);
  for (std::size_t i = from; i < draws.size(); ++i) {
    covariance += (draws[i] - out.mean) * (draws[i] - out.mean).transpose() / n;
  }
  const Vector diagonal = covariance.diagonal().cwiseMax(1e-8);
  covariance *= n / (n + 5);
  covariance.diagonal() = diagonal;
  const Eigen::LLT<Matrix> llt(covariance);
  out.root = llt.info() == Eigen::Success ? Matrix(llt.matrixL())
                                          : Matrix(diagonal.cwiseSqrt().asDiagonal());
  return out;
}

// What all chains kept, the later half of each.
Spread pooled(std::vector<SliceChain>& chains) {
  std::vector<Vector> all;
  for (SliceChain& chain : chains) {
    const std::vector<Vector> own = chain.take();
    all.insert(all.end(), own.begin() + static_cast<std::ptrdiff_t>(own.size() / 2),
               own.end());
  }
  return spread_of(all, 0);
}

}  // namespace

SliceChain::SliceChain(LogDensity density, Vector start, const Random& random)
    : density_(std::move(density)),
      x_(std::move(start)),
      value_(density_(x_)),
      random_(random),
      directions_(Matrix::Identity(x_.size(), x_.size())) {
  if (!std::isfinite(value_)) throw Error("sampler_start");
}

// Stepping out and shrinkage leave the density invariant whatever the width is.
void SliceChain::update(const Vector& direction) {
  const double level = value_ - random_.exponential();
  const auto inside = [&](double along) {
    return density_(x_ + along * direction) >= level;
  };
  double low = -kWidth * random_.uniform(), high = low + kWidth;
  int down = static_cast<int>(random_.below(kMaxSteps)), up = kMaxSteps - 1 - down;
  while (down-- > 0 && inside(low)) low -= kWidth;
  while (up-- > 0 && inside(high)) high += kWidth;
  for (int shrink = 0; shrink < kMaxShrinks; ++shrink) {
    const double along = low + (high - low) * random_.uniform();
    const Vector x = x_ + along * direction;
    const double value = density_(x);
    if (value >= level) {
      x_ = x;
      value_ = value;
      return;
    }
    (along < 0 ? low : high) = along;
  }
}

void SliceChain::sweep() {
  for (Index j = 0; j < directions_.cols(); ++j) update(directions_.col(j));
  update(directions_.col(directions_.cols() - 1));
}

void SliceChain::learn() {
  if (kept_.size() < 20) return;
  directions_ = spread_of(kept_, kept_.size() / 2).root;
  kept_.clear();
}

void SliceChain::jump(const Vector& mean, const Matrix& root) {
  const Index size = x_.size();
  const double scale = std::sqrt(kFreedom / random_.chi_square(kFreedom));
  Vector z(size);
  for (Index i = 0; i < size; ++i) z[i] = scale * random_.normal();
  const Vector x = mean + root * z;
  const auto log_proposal = [&](double square) {
    return -0.5 * (kFreedom + static_cast<double>(size)) * std::log1p(square / kFreedom);
  };
  const Vector back = root.triangularView<Eigen::Lower>().solve(x_ - mean);
  const double value = density_(x);
  const double ratio =
      value - value_ + log_proposal(back.squaredNorm()) - log_proposal(z.squaredNorm());
  if (-random_.exponential() < ratio) {
    x_ = x;
    value_ = value;
  }
  update(directions_.col(size - 1));
}

void run_chains(std::vector<SliceChain>& chains, const SliceSettings& settings,
                const Keep& keep, int threads, Monitor& monitor) {
  const Index count = static_cast<Index>(chains.size()), warmup = settings.warmup;
  const Index total = warmup + settings.iterations * settings.thin;
  // sweeps alone until then, from which their directions are learnt
  const Index pilot =
      settings.dear ? std::min(warmup, std::max<Index>(warmup / kPilot, 40)) : warmup;
  Spread proposal;
  for (Index done = 0, end; done < total; done = end) {
    end = std::min(done + kBlock, total);
    for (const Index stop : {pilot, warmup}) {
      if (done < stop) end = std::min(end, stop);
    }
    parallel_for(count, threads, [&](Index c) {
      SliceChain& chain = chains[static_cast<std::size_t>(c)];
      for (Index i = done; i < end; ++i) {
        if (settings.dear && i >= pilot && i % kSweepOf > 0) {
          chain.jump(proposal.mean, proposal.root);
        } else {
          chain.sweep();
        }
        const Index after = i - warmup + 1;
        if (after <= 0) {
          chain.keep();
        } else if (after % settings.thin == 0) {
          keep(c, after / settings.thin - 1);
        }
        if (i + 1 == pilot / 4 || i + 1 == pilot / 2) chain.learn();
      }
    });
    if (settings.dear && (end == pilot || end == warmup) && done < warmup) {
      proposal = pooled(chains);
    } else if (end == pilot) {
      for (SliceChain& chain : chains) chain.learn();
    }
    monitor.tick(end, total);
  }
}

}  // namespace kinlmm
