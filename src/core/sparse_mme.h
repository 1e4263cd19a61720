// Random intercepts, some with a sparse precision matrix Q_t = K_t^-1, by the sparse
// mixed-model equations.
//
//   y ~ N(X beta, sigma2 H),  H = I + sum_t psi_t Z_t Q_t^-1 Z_t'
//
// With theta_t^2 = psi_t, D = diag(theta) over all effects, N = Z'Z and Q the blocks Q_t,
//   C = Q + D N D,  log|H| = log|C| - log|Q|,  H^-1 = I - Z D C^-1 D Z',
// for any theta, zero included. What the derivatives need of C^-1 is on the pattern of N.
// Of the contrasts free of the intercept, 1 of unit length, log|H| + log 1'H^-1 1.
#pragma once

#include <memory>
#include <vector>

#include "core/covariance.h"
#include "core/moments.h"
#include "core/sparse_cholesky.h"
#include "core/types.h"

namespace kinlmm {

struct SparseData {
  Index n = 0;             // records
  std::vector<int> first;  // terms + 1: where the effects of a term begin, of q in all
  SparseMatrix Q;          // q x q, lower triangle
  double logdet_Q = 0;
  SparseMatrix N;  // q x q, lower triangle of Z'Z
  Matrix B;        // q x (p+1), Z'[X y]; of contrasts q x (p+2), Z'[X y 1]
  Matrix S;        // (p+1) x (p+1), [X y]'[X y]; of contrasts (p+2) x (p+2)
  bool contrasts = false;
  std::vector<int> position;  // of the effects when C is factored, empty if not known

  Index terms() const { return static_cast<Index>(first.size()) - 1; }
  Index width() const { return S.rows() - (contrasts ? 1 : 0); }  // p+1
};

// What the records of one term say: their effects, and their elements of Z.
struct SparseTerm {
  std::vector<int> effect;  // n, among all effects
  ConstVectorRef z;         // n
};

// N and B of the data.
void add_records(const std::vector<SparseTerm>& terms, const ConstMatrixRef& Xy,
                 SparseData& data);

class SparseEquations {
 public:
  // data must outlive it.
  explicit SparseEquations(const SparseData& data);
  explicit SparseEquations(SparseData&& data) = delete;

  Covariance covariance() const;
  const std::vector<int>& position() const { return cholesky_->position(); }
  // Where H is not positive definite in double precision logdet is infinite and S zero.
  const Moments& moments(const Vector& theta, Order order);

  struct Effects {
    Vector mode;         // q, K Z'H^-1(y - X beta) psi
    Vector conditional;  // q, Var(u | y, beta, theta) without sigma2
    Vector prediction;   // q, Var(u_hat - u), beta estimated
  };
  Effects effects(const Vector& theta, bool variances);

  // Variances, without sigma2, of x'beta_hat + z'u_hat as a prediction of x'beta + z'u.
  // X: rows x p; effect: rows x terms, -1 for none; Z: the same, elements of z.
  Vector row_variances(const Vector& theta, const ConstMatrixRef& X,
                       const Eigen::MatrixXi& effect, const ConstMatrixRef& Z);

 private:
  bool update(const Vector& theta);
  void invert();
  void add_gradient();
  void add_average();
  void add_second();
  void contrast(Moments& out) const;
  Matrix exact_traces();
  Matrix traces_by_difference(const Vector& theta);
  Vector traces_at(const Vector& theta);
  Vector traces() const;
  std::vector<Matrix> between(const std::vector<Matrix>& F);
  Index term_of(Index effect) const;

  const SparseData& data_;
  SparseMatrix C_;
  std::vector<std::size_t> Q_place_, N_place_;  // in C
  std::unique_ptr<SparseCholesky> cholesky_;

  // at the last theta
  Vector theta_, D_;
  bool defined_ = false, inverted_ = false;
  Matrix E_;      // C^-1 D B
  Moments full_;  // with the intercept of contrasts as the last of [X y 1]
  Moments moments_;
};

}  // namespace kinlmm
