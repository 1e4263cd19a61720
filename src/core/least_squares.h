// Weighted least squares of y on the columns of X, by Cholesky decompositions of
// cross-products: a few passes over the rows, in place of Householder's p.
#pragma once

#include "core/types.h"

namespace kinlmm {

struct LeastSquares {
  Matrix R;     // p x p, upper triangular: sqrt(W) X = Q R
  Vector beta;  // p
  bool reliable =
      false;  // when false, X is too close to linear dependence for the method
};

// root: n, square roots of the weights. Writes the orthonormal Q (n x p) and the residual
// r (n), sqrt(W) y = sqrt(W) X beta + r.
LeastSquares least_squares(const ConstMatrixRef& X, const ConstVectorRef& y,
                           const ConstVectorRef& root, MatrixRef Q, Eigen::Ref<Vector> r);

}  // namespace kinlmm
