// I.i.d. random effects, any number of terms and grouping factors.
//
//   y ~ N(X beta, sigma2 H),  H = I + sum_f Z_f (I x Psi_f) Z_f'
//
// A factor f has q_f levels with k_f effects each; Psi_f is block diagonal over its terms
// (see covariance.h). Everything follows from the cross-products of [Z X y], so that no
// evaluation depends on the number of records. The factor with the most effects is
// eliminated level by level; of the others, r effects in all, remains their Schur
// complement ("the rest", see rest.h). Levels of a single factor with equal
// cross-products Z_j'Z_j are one class.
#pragma once

#include <memory>
#include <vector>

#include "core/blocked_data.h"
#include "core/covariance.h"
#include "core/moments.h"
#include "core/rest.h"
#include "core/types.h"

namespace kinlmm {

class Blocked {
 public:
  // data must outlive it.
  explicit Blocked(const BlockedData& data, int threads = 1);
  explicit Blocked(BlockedData&& data) = delete;

  const Covariance& covariance() const { return covariance_; }
  // Where H is not positive definite in double precision logdet is infinite and S zero.
  // Order::average is for data with a rest: without one the exact Hessian costs no more.
  const Moments& moments(const Vector& theta, Order order);

  // Whether the exact Hessian costs little beside the gradient.
  bool exact_is_cheap() const;

  // Where to search from: variances by the method of moments, each effect for itself; and
  // where an evaluation costs little small and large ones, and slopes that are small
  // beside the intercept.
  std::vector<Vector> starts() const;

  // Random effects at theta, and their variances without sigma2, for each factor in the
  // order of the data. Costs little where moments() was last called with this theta.
  struct Effects {
    Matrix mode;         // k x q, Psi Z_j'H^-1(y - X beta)
    Matrix conditional;  // k x kq, Var(u_j | y, beta, theta)
    Matrix prediction;   // k x kq, Var(u_hat_j - u_j), beta estimated
  };
  std::vector<Effects> effects(const Vector& theta, bool variances);

  // Variances, without sigma2, of x'beta_hat + z'u_hat as a prediction of x'beta + z'u,
  // for rows x of X (n x p) and z of `rows`, one for each factor in the order of the
  // data. A level of -1 is one that the data do not have. For the rows of the data it is
  // the diagonal of the hat matrix I - P. The levels of the data must not be merged.
  Vector row_variances(const Vector& theta, const std::vector<FactorRows>& rows,
                       const ConstMatrixRef& X);

 private:
  // Every factor's rows of a matrix with a row for each effect.
  using Stacked = std::vector<Matrix>;  // factor -> k x (columns of the matrix) q

  void update(const Vector& theta, Order order);
  const Moments& defined_moments(const Vector& theta);
  Vector moment_start() const;
  Matrix factor_T(const Vector& theta, std::size_t f) const;
  void eliminate(const Vector& theta, Moments& out);
  void unstack(const Matrix& E, Index columns, Stacked& out) const;
  void whiten(Moments& out);
  void whiten_levels(Index first, Index last);
  void whiten_rest(Moments& out);
  Stacked apply(const Stacked& K, Index columns) const;
  Stacked directions(const Stacked& E, Index width, std::size_t first,
                     std::size_t last) const;
  std::vector<Matrix> second_products(const Stacked& E, Index width) const;
  void add_class_products(Moments& out, bool exact) const;
  void add_average(Moments& out) const;
  void add_products(Moments& out) const;
  void add_traces(Moments& out) const;
  void add_rest_traces(Moments& out) const;
  std::vector<class RestSum> rest_sums() const;
  struct Panel;
  Panel make_panel(std::size_t g, Index level, Index levels,
                   const std::vector<class RestSum>& sums) const;
  double mixed_trace(const Panel& panel, std::size_t c, const Component& d) const;
  double rest_trace(const Panel& panel, const Component& c, const Component& d) const;
  void add_conditional(const std::vector<FactorRows>& rows, Vector& out) const;
  bool places(const std::vector<FactorRows>& rows, std::size_t row, Index from,
              Index size, std::vector<Index>& place) const;

  const BlockedData& data_;
  int threads_;
  Covariance covariance_;
  std::vector<Component> components_;
  std::vector<Index> offset_;  // of the factors in the rest
  std::unique_ptr<Rest> rest_;

  // at the last theta
  Vector theta_;
  Order order_ = Order::value;
  Moments moments_;
  std::vector<Matrix> T_;  // of the factors
  Matrix F_;               // k x k classes, T (T'A T + I)^-1 T'
  Matrix V_;               // k x k classes, I - A F
  Matrix G_;               // k x k classes, V A = Z_j'H_1^-1 Z_j, H_1 without the rest
  Matrix X_;               // r x (p+1), M Z'H_1^-1 [X y]
  Stacked E_;              // Z'H^-1[X y]
  Matrix through_;         // k x kq, U_j M U_j', U_j = Z_j'H_1^-1 Z_rest
};

}  // namespace kinlmm
