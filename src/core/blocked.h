// One grouping factor with k random effects per level, i.i.d. over the q levels. A single
// one needs less: see rotated.h.
//
//   y ~ N(X beta, sigma2 H),  H = I + Z (I_q x Psi) Z',  Psi = T T' (k x k)
//
// T is lower triangular with a free pattern (a block per term, diagonal for `||`), and
// theta holds its free elements. Only the cross-products within each level are needed, so
// that no evaluation depends on the number of records.
#pragma once

#include <vector>

#include "core/criterion.h"
#include "core/newton.h"
#include "core/types.h"

namespace kinlmm {

struct BlockedData {
  Index n = 0;                // records
  Index p = 0;                // fixed effects
  Index k = 0;                // random effects per level
  Index q = 0;                // levels
  Matrix A;                   // k x kq, Z_j'Z_j side by side
  Matrix B;                   // k x (p+1)q, Z_j'[X y] side by side
  Matrix C;                   // (p+1) x (p+1), [X y]'[X y]
  std::vector<int> row, col;  // of T, 0-based, for each element of theta; row >= col

  auto A_of(Index j) const { return A.middleCols(j * k, k); }
  auto B_of(Index j) const { return B.middleCols(j * (p + 1), p + 1); }
};

// Cross-products of Z (n x k), Xy (n x (p+1)) over level (n, 0-based). Rows are taken as
// they are: weights have been multiplied in by the caller.
BlockedData blocked_data(const ConstMatrixRef& Z, const ConstMatrixRef& Xy,
                         const std::vector<int>& level, Index q);

// T (k x k) of theta.
Matrix blocked_factor(const BlockedData& data, const ConstVectorRef& theta);

// log|H| and [X y]'H^-1[X y] at theta.
struct BlockedMoments {
  double logdet = 0;
  Matrix S;  // (p+1) x (p+1)
};
BlockedMoments blocked_moments(const BlockedData& data, const ConstVectorRef& theta);

// The criterion (see criterion.h) at theta, its gradient and its exact Hessian in theta,
// and the gradient G in Psi (symmetric; d criterion = <G, dPsi>), which decides at the
// boundary.
struct BlockedEvaluation : Evaluation {
  Matrix psi_gradient;  // k x k
};
BlockedEvaluation blocked_criterion(const BlockedData& data, const ConstVectorRef& theta,
                                    bool reml);

struct BlockedFit {
  Vector theta;
  BlockedEvaluation at;
  int iterations = 0;
  int evaluations = 0;
  int starts = 0;
  bool converged = false;
  bool singular = false;  // Psi is not of full rank (its pattern's rank)
};
BlockedFit fit_blocked(const BlockedData& data, bool reml, double tolerance,
                       int max_iterations, const std::vector<Vector>& starts);

// Random effects at theta, and their variances without sigma2, per level.
struct BlockedEffects {
  Matrix mode;         // k x q, Psi Z_j'H^-1(y - X beta)
  Matrix conditional;  // k x kq, Var(u_j | y, beta, theta)
  Matrix prediction;   // k x kq, Var(u_hat_j - u_j), beta estimated
};
BlockedEffects blocked_effects(const BlockedData& data, const ConstVectorRef& theta);

}  // namespace kinlmm
