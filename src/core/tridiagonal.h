// Symmetric tridiagonal matrices T (m x m) by their diagonal and what is beside it (m -
// 1): what a kernel is reduced to when nothing needs its eigenvectors. Everything is
// O(m).
#pragma once

#include "core/types.h"

namespace kinlmm {

struct Tridiagonal {
  Vector diagonal;  // m
  Vector beside;    // m - 1
};

// Eigenvalues below x, by Sturm's sequence.
Index eigenvalues_below(const Tridiagonal& T, double x);

// The largest eigenvalue, to a relative 1e-6.
double largest_eigenvalue(const Tridiagonal& T);

Matrix product(const Tridiagonal& T, const ConstMatrixRef& B);

// H = I + tau T = L D L', L unit lower bidiagonal, with log|H| and its two derivatives in
// tau by differentiating the recursion of the pivots.
class TridiagonalFactor {
 public:
  TridiagonalFactor(const Tridiagonal& T, double tau);

  bool positive() const { return positive_; }
  double logdet() const { return logdet_; }
  double logdet1() const { return logdet1_; }
  double logdet2() const { return logdet2_; }

  Matrix half(const ConstMatrixRef& B) const;  // D^-1/2 L^-1 B: half'half = B'H^-1 B
  Matrix back(const Matrix& half) const;       // H^-1 B of half(B)

 private:
  Vector root_;   // m, of the pivots
  Vector below_;  // m - 1, of L
  double logdet_ = 0, logdet1_ = 0, logdet2_ = 0;
  bool positive_ = true;
};

}  // namespace kinlmm
