#include "core/least_squares.h"

#include <algorithm>
#include <cmath>

namespace kinlmm {

namespace {

// Rows that stay in cache between the steps of a pass.
constexpr Index block_rows = 1024;

template <class F>
void by_blocks(Index n, F&& f) {
  for (Index from = 0; from < n; from += block_rows) {
    f(from, std::min(block_rows, n - from));
  }
}

Matrix crossprod(const ConstMatrixRef& Q) {
  Matrix G = Matrix::Zero(Q.cols(), Q.cols());
  by_blocks(Q.rows(), [&](Index from, Index size) {
    G.selfadjointView<Eigen::Lower>().rankUpdate(Q.middleRows(from, size).transpose());
  });
  return G.selfadjointView<Eigen::Lower>();
}

// The upper triangle R of the Cholesky decomposition of a cross-product, empty where a
// column has less than 1e-4 of its length beside those before it.
Matrix root_of(const Matrix& G) {
  const Vector length = G.diagonal().cwiseSqrt();
  if (!(length.array() > 0).all() || !length.allFinite()) return Matrix();
  const Vector unit = length.cwiseInverse();
  const Eigen::LLT<Matrix> llt(unit.asDiagonal() * G * unit.asDiagonal());
  const Matrix R = llt.matrixU();
  if (llt.info() != Eigen::Success || !(R.diagonal().array() > 1e-4).all()) {
    return Matrix();
  }
  return R * length.asDiagonal();
}

void divide(MatrixRef Q, const Matrix& R) {
  by_blocks(Q.rows(), [&](Index from, Index size) {
    R.triangularView<Eigen::Upper>().solveInPlace<Eigen::OnTheRight>(
        Q.middleRows(from, size));
  });
}

}  // namespace

LeastSquares least_squares(const ConstMatrixRef& X, const ConstVectorRef& y,
                           const ConstVectorRef& root, MatrixRef Q,
                           Eigen::Ref<Vector> r) {
  const Index p = X.cols();
  LeastSquares fit;
  r = root.cwiseProduct(y);
  fit.reliable = p == 0;
  if (fit.reliable) return fit;
  Q = root.asDiagonal() * X;
  fit.R = root_of(crossprod(Q));
  if (fit.R.rows() < p) return fit;
  divide(Q, fit.R);
  // once more: the first Q is orthonormal up to the squared condition of X
  const Matrix G = crossprod(Q);
  if ((G - Matrix::Identity(p, p)).cwiseAbs().maxCoeff() > 1e-12) {
    const Matrix again = root_of(G);
    if (again.rows() < p) return fit;
    divide(Q, again);
    fit.R = again * fit.R;
  }
  Vector on_Q = Vector::Zero(p);
  // twice: r may be much smaller than y
  for (int pass = 0; pass < 2; ++pass) {
    const Vector more = Q.transpose() * r;
    r.noalias() -= Q * more;
    on_Q += more;
  }
  fit.beta = fit.R.triangularView<Eigen::Upper>().solve(on_Q);
  fit.reliable = true;
  return fit;
}

}  // namespace kinlmm
