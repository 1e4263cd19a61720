// What every engine gives at theta, and all that the criterion, its derivatives and the
// tests of fixed effects need. The model is y ~ N(X beta, sigma2 H), where H depends
// linearly on the components psi of the covariances of the random effects (see
// covariance.h); G_c is dH/dpsi_c.
#pragma once

#include <functional>
#include <vector>

#include "core/types.h"

namespace kinlmm {

// How much of Moments is asked for; each includes the ones before it, but `exact` has no
// `average`.
enum class Order { value, gradient, average, exact };

struct Moments {
  double logdet = 0;  // log|H|
  Matrix S;           // (p+1) x (p+1), [X y]'H^-1[X y]
  // gradient
  Vector trace;           // c, tr(H^-1 G_c)
  std::vector<Matrix> W;  // c, [X y]'H^-1 G_c H^-1[X y]
  // average
  Matrix average;  // c x c, y'P G_c P G_d P y
  // exact
  Matrix traces;           // c x c, tr(H^-1 G_c H^-1 G_d)
  std::vector<Matrix> WW;  // c * c, at c * count + d, [X y]'H^-1 G_c H^-1 G_d H^-1[X y]
};

using MomentsAt = std::function<Moments(const Vector& theta, Order order)>;

}  // namespace kinlmm
