// Sampling from a density by slices (Neal 2003), one direction after the other. The
// directions are the columns of the Cholesky factor of the covariance that the warm-up
// found (Tibbits et al. 2014): along them the density is close to that of independent
// variables, so that draws are nearly independent, without an acceptance rate to tune.
// The last direction is the last coordinate alone.
//
// A sweep takes some five evaluations for each direction. Where one is dear, most
// iterations after a pilot run are Metropolis steps to an independent draw from a
// multivariate t distribution with the mean and covariance of the warm-up's draws of all
// chains (Tierney 1994): one evaluation. Its tails are heavier than those of the density,
// and a sweep now and then moves a chain from where proposals are seldom accepted.
#pragma once

#include <functional>
#include <utility>
#include <vector>

#include "core/monitor.h"
#include "core/random.h"
#include "core/types.h"

namespace kinlmm {

// Log density up to a constant, -infinity where there is none.
using LogDensity = std::function<double(const Vector&)>;

class SliceChain {
 public:
  // Throws Error("sampler_start") where the density is zero at the start.
  SliceChain(LogDensity density, Vector start, const Random& random);

  // One update along every direction, and one more of the last, which is cheap for
  // Posterior.
  void sweep();
  // Directions from the covariance of the later half of what was kept since the last
  // call.
  void learn();
  // A step to an independent draw, mean + root t, and an update of the last direction.
  void jump(const Vector& mean, const Matrix& root);
  // Part of the warm-up: kept.
  void keep() { kept_.push_back(x_); }
  std::vector<Vector> take() { return std::exchange(kept_, {}); }

  const Vector& at() const { return x_; }
  Random& random() { return random_; }

 private:
  void update(const Vector& direction);

  LogDensity density_;
  Vector x_;
  double value_;
  Random random_;
  Matrix directions_;
  std::vector<Vector> kept_;
};

struct SliceSettings {
  Index warmup = 300;  // sweeps of each chain, not kept; directions change until then
  Index iterations = 1000;  // draws of each chain
  Index thin = 1;           // sweeps between draws
  bool dear = false;        // Metropolis steps instead of most sweeps
};

// Runs the chains side by side and calls keep(chain, draw) after each draw to be kept.
// What a chain draws does not depend on the number of threads; with more than one, the
// densities and keep() must be safe to call for different chains at a time.
using Keep = std::function<void(Index chain, Index draw)>;
void run_chains(std::vector<SliceChain>& chains, const SliceSettings& settings,
                const Keep& keep, int threads, Monitor& monitor);

}  // namespace kinlmm
