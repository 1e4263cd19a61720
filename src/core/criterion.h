// The profiled criterion from the moments that every engine gives, for
//   y ~ N(X beta, sigma2 H),
// on the scale of -2 log-likelihood, beta and sigma2 profiled:
//   ML    log|H| + n (1 + log(2 pi s / n)),                s = y'Py
//   REML  log|H| + log|X'H^-1 X| + (n-p) (1 + log(2 pi s / (n-p))).
#pragma once

#include "core/moments.h"
#include "core/newton.h"
#include "core/types.h"

namespace kinlmm {

// The criterion and its derivatives in the components psi. The Hessian is that of the
// order of the moments: none, the average information, or exact. A criterion that is not
// defined (X'H^-1 X or s not positive) is +infinity, with derivatives of zero.
Evaluation profiled_criterion(const Moments& moments, Index n, bool reml, Order order);

// Of a model with one variance ratio, H = I + tau Z K Z': the moments at tau, and their
// first and second derivatives in tau.
struct RatioMoments {
  double logdet = 0, logdet1 = 0, logdet2 = 0;  // log|H|
  Matrix S, S1, S2;                             // (p+1) x (p+1), [X y]'H^-1[X y]
};

// The criterion and its derivatives in tau. Point::x is tau.
Point profiled_criterion(const RatioMoments& moments, Index n, bool reml, double tau);

// What the moments S imply: beta, its covariance without sigma2, log|X'H^-1 X|, and
// s = y'Py, which is 0 when X'H^-1 X is not positive definite.
struct ProfiledFixed {
  Vector beta;      // p
  Matrix unscaled;  // p x p, (X'H^-1 X)^-1
  double logdet = 0;
  double s = 0;
};
ProfiledFixed profiled_fixed(const Matrix& S);

}  // namespace kinlmm
