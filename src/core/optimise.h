// The optimum of the criterion over theta, for any engine.
#pragma once

#include <vector>

#include "core/covariance.h"
#include "core/criterion.h"
#include "core/moments.h"

namespace kinlmm {

struct OptimiseSettings {
  bool reml = true;
  double tolerance = 1e-8;  // of the gradient in theta
  int max_iterations = 200;
  // the Hessian of each step: exact, or the average information with secant corrections,
  // for engines whose exact one costs much more than the gradient
  Order order = Order::exact;
};

struct Optimum {
  Vector theta;
  Evaluation at;  // value, and gradient in theta; that in psi is carried
  int iterations = 0;
  int evaluations = 0;
  int starts = 0;
  bool converged = false;
  bool singular = false;  // some Psi_t is not of full rank
};

// Trust-region Newton from each start; the best is returned. Where a Psi_t loses rank,
// the KKT condition of Psi_t >= 0 decides whether the search stays there.
Optimum optimise(const MomentsAt& moments, Index n, const Covariance& covariance,
                 const OptimiseSettings& settings, const std::vector<Vector>& starts);

}  // namespace kinlmm
