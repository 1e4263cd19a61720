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
// Sweeps between two looks at the monitor.
constexpr Index kBlock = 20;

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

void SliceChain::warm_up() {
  sweep();
  kept_.push_back(x_);
}

void SliceChain::learn() {
  const std::size_t from = kept_.size() / 2, count = kept_.size() - from;
  const Index size = x_.size();
  if (count < 10) return;
  Vector mean = Vector::Zero(size);
  for (std::size_t i = from; i < kept_.size(); ++i) mean += kept_[i];
  mean /= static_cast<double>(count);
  Matrix covariance = Matrix::Zero(size, size);
  for (std::size_t i = from; i < kept_.size(); ++i) {
    covariance += (kept_[i] - mean) * (kept_[i] - mean).transpose();
  }
  // drawn a little towards a diagonal: so few draws may lie in a plane
  const double n = static_cast<double>(count);
  covariance /= n;
  const Vector diagonal = covariance.diagonal().cwiseMax(1e-8);
  covariance *= n / (n + 5);
  covariance.diagonal() = diagonal;
  const Eigen::LLT<Matrix> llt(covariance);
  if (llt.info() == Eigen::Success) directions_ = llt.matrixL();
  kept_.clear();
}

void run_chains(std::vector<SliceChain>& chains, const SliceSettings& settings,
                const Keep& keep, int threads, Monitor& monitor) {
  const Index count = static_cast<Index>(chains.size());
  const Index total = settings.warmup + settings.iterations * settings.thin;
  for (Index done = 0; done < total; done += kBlock) {
    const Index end = std::min(done + kBlock, total);
    parallel_for(count, threads, [&](Index c) {
      SliceChain& chain = chains[static_cast<std::size_t>(c)];
      for (Index i = done; i < end; ++i) {
        if (i >= settings.warmup) {
          chain.sweep();
          const Index after = i - settings.warmup + 1;
          if (after % settings.thin == 0) keep(c, after / settings.thin - 1);
          continue;
        }
        chain.warm_up();
        if (i + 1 == settings.warmup / 4 || i + 1 == settings.warmup / 2 ||
            i + 1 == settings.warmup) {
          chain.learn();
        }
      }
    });
    monitor.tick(end, total);
  }
}

}  // namespace kinlmm
