#include "core/covariance.h"

#include <utility>

namespace kinlmm {

Covariance::Covariance(std::vector<int> sizes) : sizes_(std::move(sizes)), first_(1, 0) {
  for (int k : sizes_) first_.push_back(first_.back() + k * (k + 1) / 2);
}

Matrix Covariance::lower(const ConstVectorRef& packed, Index t) const {
  const Index k = size(t);
  Matrix out = Matrix::Zero(k, k);
  for (Index c = 0, at = first(t); c < k; ++c) {
    for (Index r = c; r < k; ++r) out(r, c) = packed(at++);
  }
  return out;
}

Matrix Covariance::symmetric(const ConstVectorRef& packed, Index t) const {
  return lower(packed, t).selfadjointView<Eigen::Lower>();
}

void Covariance::pack(const Matrix& from, Index t, Vector& packed) const {
  const Index k = size(t);
  for (Index c = 0, at = first(t); c < k; ++c) {
    for (Index r = c; r < k; ++r) packed(at++) = from(r, c);
  }
}

Vector Covariance::psi(const ConstVectorRef& theta) const {
  Vector out(count());
  for (Index t = 0; t < terms(); ++t) {
    const Matrix T = lower(theta, t);
    pack(T * T.transpose(), t, out);
  }
  return out;
}

// dPsi_ab / dT_rc = [a = r] T_bc + [b = r] T_ac
Matrix Covariance::jacobian(const ConstVectorRef& theta) const {
  Matrix out = Matrix::Zero(count(), count());
  for (Index t = 0; t < terms(); ++t) {
    const Matrix T = lower(theta, t);
    const Index k = size(t);
    Index column = first(t);
    for (Index c = 0; c < k; ++c) {
      for (Index r = c; r < k; ++r, ++column) {
        for (Index b = 0, row = first(t); b < k; ++b) {
          for (Index a = b; a < k; ++a, ++row) {
            out(row, column) = (a == r ? T(b, c) : 0) + (b == r ? T(a, c) : 0);
          }
        }
      }
    }
  }
  return out;
}

Vector Covariance::gradient(const ConstVectorRef& theta,
                            const Vector& psi_gradient) const {
  return jacobian(theta).transpose() * psi_gradient;
}

// d2Psi_ab / dT_rc dT_sc = [a = r][b = s] + [b = r][a = s]
Matrix Covariance::hessian(const ConstVectorRef& theta, const Vector& psi_gradient,
                           const Matrix& psi_hessian) const {
  const Matrix J = jacobian(theta);
  Matrix out = J.transpose() * psi_hessian * J;
  for (Index t = 0; t < terms(); ++t) {
    const Matrix g = symmetric(psi_gradient, t);
    const Index k = size(t);
    for (Index c = 0, column = first(t); c < k; column += k - c, ++c) {
      for (Index r = c; r < k; ++r) {
        for (Index s = c; s < k; ++s) {
          out(column + r - c, column + s - c) += (r == s ? 2 : 1) * g(r, s);
        }
      }
    }
  }
  return out;
}

}  // namespace kinlmm
