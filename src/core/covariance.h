// From theta to the covariances of the random effects. Term t has k_t effects per level
// with the covariance sigma2 Psi_t, Psi_t = T_t T_t', and T_t is lower triangular. theta
// holds the lower triangles of T_t, by columns, term by term; the components psi the same
// elements of Psi_t.
#pragma once

#include <vector>

#include "core/types.h"

namespace kinlmm {

class Covariance {
 public:
  // sizes: k_t of each term.
  explicit Covariance(std::vector<int> sizes);

  Index terms() const { return static_cast<Index>(sizes_.size()); }
  Index size(Index t) const { return sizes_[static_cast<std::size_t>(t)]; }
  Index count() const { return first_.back(); }  // of components
  Index first(Index t) const { return first_[static_cast<std::size_t>(t)]; }

  // Lower triangle by columns, from and to a square matrix.
  Matrix lower(const ConstVectorRef& packed, Index t) const;      // T_t of theta
  Matrix symmetric(const ConstVectorRef& packed, Index t) const;  // Psi_t of psi
  void pack(const Matrix& from, Index t, Vector& packed) const;

  Vector psi(const ConstVectorRef& theta) const;

  // Derivatives in theta from those in psi.
  Vector gradient(const ConstVectorRef& theta, const Vector& psi_gradient) const;
  Matrix hessian(const ConstVectorRef& theta, const Vector& psi_gradient,
                 const Matrix& psi_hessian) const;

 private:
  // dpsi/dtheta, count x count.
  Matrix jacobian(const ConstVectorRef& theta) const;

  std::vector<int> sizes_;
  std::vector<Index> first_;
};

}  // namespace kinlmm
