// Two traits with unstructured covariances: trait a of record i is
//   y_a = X_a beta_a + sum_t Z_t u_ta + e_a,  Cov(u_ta, u_tb) = V_t[a, b] K_t,
//   Cov(e_a, e_b) = V_e[a, b] I.
// The components psi are the lower triangles (11, 21, 22) of V_1, ..., V_e, packed as
// Covariance packs them, and G_c the derivative of Var(y) in psi_c. Nothing is profiled
// but beta.
#pragma once

#include <functional>
#include <vector>

#include "core/covariance.h"
#include "core/moments.h"
#include "core/newton.h"
#include "core/types.h"

namespace kinlmm {

// Both traits of every record, one term: in the eigenbasis of the kernel each coordinate
// is a problem of two values with covariance d V_1 + V_e.
class PairedTraits {
 public:
  // d: q eigenvalues >= 0; Xy: q x (p+2), [X y_1 y_2] in the eigenbasis; within: (p+2) x
  // (p+2), their cross-product over `beside` further dimensions, where d is zero.
  PairedTraits(const ConstVectorRef& d, const ConstMatrixRef& Xy,
               const ConstMatrixRef& within, double beside);

  // Moments with the columns [X 0 y_1; 0 X y_2], p of each trait first. O(q p^2).
  Moments moments(const ConstVectorRef& psi, Order order) const;

 private:
  Vector d_, times_;  // q + 1: the last stands for what is beside
  Matrix products_;   // (q+1) x (p+2)(p+3)/2, of the columns of Xy, lower triangle
  Index p_;
};

// Any records missing, any number of terms.
struct JointData {
  std::vector<Eigen::Map<const Matrix>> K;  // t, n x n: Z_t K_t Z_t' over the records
  std::vector<Index> rows[2];  // the records that trait a is observed for, increasing
  Matrix Xy;                   // N x (P+1), the N observed values, trait 1 first
  // What is added to Var(y) is lift X X'. REML does not depend on it, and V may then be
  // singular in the span of X, as it is for a centred kernel without residual variance.
  double lift = 0;
};

// In units of N^3: 1/3 for the value, 1 with the gradient or the average information, and
// two more for each term with the exact Hessian. Where Var(y) is not positive definite
// logdet is infinite.
Moments joint_moments(const JointData& data, const ConstVectorRef& psi, Order order);

// -2 log-likelihood (reml: restricted), beta profiled, with derivatives in psi; the
// Hessian is that of the order of the moments. n: observed values.
Evaluation joint_criterion(const Moments& moments, Index n, bool reml, Order order);

// tr(P G_c P G_d), of moments of exact order (P = Var(y)^-1 for ML).
Matrix joint_expected(const Moments& moments, bool reml);

struct JointSettings {
  bool reml = true;
  double tolerance = 1e-8;  // of the gradient in phi
  int max_iterations = 200;
  Order order = Order::exact;  // of the Hessian of each step
  // elements of phi that must not be negative: with a b < 0 a correlation of r is -r
  std::vector<Index> positive;
};

struct JointOptimum {
  Vector phi, theta, psi;
  Evaluation at;        // in phi
  Vector psi_gradient;  // in psi
  int iterations = 0, evaluations = 0, starts = 0;
  bool converged = false;
};

// Minimum over V_t = T_t T_t' with theta = M phi, theta the T_t of Covariance. M is the
// identity or what a hypothesis leaves: a correlation of r is (t11, t21, t22) = (a, r b,
// sqrt(1 - r^2) b). Trust-region Newton from each start (a theta); with M the identity
// the KKT condition of V_t >= 0 is checked where a V_t loses rank, and the search goes on
// if it fails.
JointOptimum joint_optimise(const MomentsAt& moments_of_psi, Index n, const Matrix& M,
                            const JointSettings& settings,
                            const std::vector<Vector>& starts);

}  // namespace kinlmm
