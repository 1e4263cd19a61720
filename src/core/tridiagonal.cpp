#include "core/tridiagonal.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace kinlmm {

Index eigenvalues_below(const Tridiagonal& T, double x) {
  const double tiny = std::numeric_limits<double>::min();
  Index below = 0;
  double pivot = 1;
  for (Index i = 0; i < T.diagonal.size(); ++i) {
    const double b = i > 0 ? T.beside[i - 1] : 0;
    pivot = T.diagonal[i] - x - (i > 0 ? b * (b / pivot) : 0);
    if (std::abs(pivot) < tiny) pivot = -tiny;
    if (pivot < 0) ++below;
  }
  return below;
}

double largest_eigenvalue(const Tridiagonal& T) {
  const Index m = T.diagonal.size();
  double lo = T.diagonal.maxCoeff(), hi = lo;
  for (Index i = 0; i < m; ++i) {  // Gershgorin's circles
    const double radius =
        (i > 0 ? std::abs(T.beside[i - 1]) : 0) + (i + 1 < m ? std::abs(T.beside[i]) : 0);
    hi = std::max(hi, T.diagonal[i] + radius);
  }
  while (hi - lo > 1e-6 * std::max(std::abs(lo), std::abs(hi))) {
    const double mid = lo + 0.5 * (hi - lo);
    (eigenvalues_below(T, mid) == m ? hi : lo) = mid;
  }
  return hi;
}

Matrix product(const Tridiagonal& T, const ConstMatrixRef& B) {
  const Index m = T.diagonal.size();
  Matrix out = T.diagonal.asDiagonal() * B;
  if (m < 2) return out;
  out.topRows(m - 1) += T.beside.asDiagonal() * B.bottomRows(m - 1);
  out.bottomRows(m - 1) += T.beside.asDiagonal() * B.topRows(m - 1);
  return out;
}

TridiagonalFactor::TridiagonalFactor(const Tridiagonal& T, double tau) {
  const Index m = T.diagonal.size();
  root_.resize(m);
  below_.resize(std::max<Index>(m - 1, 0));
  // pivots p = 1 + tau a - tau^2 g, g = b^2 / (the pivot before), and their derivatives
  double p = 1, p1 = 0, p2 = 0;
  for (Index i = 0; i < m; ++i) {
    double g = 0, g1 = 0, g2 = 0;
    if (i > 0) {
      const double b = T.beside[i - 1], r1 = p1 / p, r2 = p2 / p;
      g = b * b / p;
      g1 = -g * r1;
      g2 = g * (2 * r1 * r1 - r2);
      below_[i - 1] = tau * b / p;
    }
    p = 1 + tau * T.diagonal[i] - tau * tau * g;
    p1 = T.diagonal[i] - 2 * tau * g - tau * tau * g1;
    p2 = -2 * g - 4 * tau * g1 - tau * tau * g2;
    if (!(p > 0)) {
      positive_ = false;
      return;
    }
    root_[i] = std::sqrt(p);
    logdet_ += std::log(p);
    logdet1_ += p1 / p;
    logdet2_ += p2 / p - (p1 / p) * (p1 / p);
  }
}

Matrix TridiagonalFactor::half(const ConstMatrixRef& B) const {
  Matrix out = B;
  for (Index j = 0; j < out.cols(); ++j) {
    for (Index i = 1; i < out.rows(); ++i) out(i, j) -= below_[i - 1] * out(i - 1, j);
  }
  return root_.cwiseInverse().asDiagonal() * out;
}

Matrix TridiagonalFactor::back(const Matrix& half) const {
  Matrix out = root_.cwiseInverse().asDiagonal() * half;
  for (Index j = 0; j < out.cols(); ++j) {
    for (Index i = out.rows() - 1; i-- > 0;) out(i, j) -= below_[i] * out(i + 1, j);
  }
  return out;
}

}  // namespace kinlmm
