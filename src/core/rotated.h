// One variance ratio: a kernel in its eigenbasis, or i.i.d. effects of one column z.
//
// Records are reduced to their q individuals: with N = Z'WZ (diagonal) the model in
// N^-1/2 Z'W [X y] has covariance I + tau N^1/2 K N^1/2, and what is orthogonal to the
// individuals has covariance I whatever tau is. So repeated records and weights cost
// nothing more, and are exact. In the eigenbasis of N^1/2 K N^1/2, or in a basis where it
// is tridiagonal, every evaluation is O(q p^2).
#pragma once

#include <vector>

#include "core/criterion.h"
#include "core/newton.h"
#include "core/tridiagonal.h"
#include "core/types.h"

namespace kinlmm {

struct RotatedData {
  Vector d;         // q, eigenvalues, >= 0, or the diagonal where there is
  Vector beside;    // q - 1, what is beside it; else empty
  Matrix Xy;        // q x (p+1), U' N^-1/2 Z'W [X y], U the basis
  Vector count;     // q, individuals that a row stands for, or empty: one each
  Matrix within;    // (p+1) x (p+1), cross-product of [X y] beside the individuals
  Index n = 0;      // records
  double unit = 1;  // mean eigenvalue, of the centred kernel where there is an intercept
  double upper = 1e5;  // largest tau * unit that is searched
  // q or empty: the intercept in the basis, of unit length. When given, the
  // criterion is that of the kernel centred over the individuals, which differs from that
  // of the kernel as it is for ML only: log|H| gains log(c'H^-1 c).
  Vector intercept;
};

RatioMoments rotated_moments(const RotatedData& data, double tau);

// log|H| and S alone, with no intercept, in one pass over the rows; logdet is infinite
// where H is not positive definite.
struct RatioValue {
  double logdet = 0;
  Matrix S;  // (p+1) x (p+1)
};
RatioValue rotated_value(const RotatedData& data, double tau);

// H^-1 B for B (q x any) in the basis.
Matrix rotated_solve(const RotatedData& data, double tau, const ConstMatrixRef& B);

// The criterion at tau and its derivatives in tau.
Point rotated_criterion(const RotatedData& data, bool reml, double tau);

// The optimum over tau in [0, upper / unit].
IntervalMinimum fit_rotated(const RotatedData& data, bool reml);

}  // namespace kinlmm
