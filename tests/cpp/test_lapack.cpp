#include "check.h"
#include "core/lapack.h"

using namespace kinlmm;

namespace {

// Reproducible numbers without a generator: irregular enough for products.
Matrix wave(Index rows, Index cols, double phase) {
  Matrix out(rows, cols);
  for (Index j = 0; j < cols; ++j)
    for (Index i = 0; i < rows; ++i)
      out(i, j) = std::sin(phase + 1.3 * static_cast<double>(i) +
                           0.7 * static_cast<double>(j * j));
  return out;
}

double distance(const Matrix& A, const Matrix& B) {
  return (A - B).cwiseAbs().maxCoeff();
}

}  // namespace

TEST(gemm_transposes_what_it_is_asked_to) {
  const Matrix A = wave(7, 5, 0.1), B = wave(5, 4, 0.2), C0 = wave(7, 4, 0.3);
  const Matrix At = A.transpose(), Bt = B.transpose();
  const Matrix expected = 2.0 * (A * B) - 0.5 * C0;
  for (bool ta : {false, true}) {
    for (bool tb : {false, true}) {
      Matrix C = C0;
      lapack::gemm(ta, tb, 2.0, ta ? At : A, tb ? Bt : B, -0.5, C);
      CHECK_NEAR(distance(C, expected), 0, 1e-13);
    }
  }
}

TEST(gemm_on_blocks_of_larger_matrices) {
  const Matrix A = wave(9, 8, 0.4), B = wave(8, 6, 0.5);
  Matrix C = wave(12, 10, 0.6);
  const Matrix before = C;
  lapack::gemm(false, false, 1.0, A.block(1, 2, 4, 3), B.block(2, 1, 3, 5), 0.0,
               C.block(3, 4, 4, 5));
  CHECK_NEAR(distance(C.block(3, 4, 4, 5), A.block(1, 2, 4, 3) * B.block(2, 1, 3, 5)), 0,
             1e-13);
  CHECK(C.topRows(3) == before.topRows(3));
  CHECK(C.bottomRows(5) == before.bottomRows(5));
  CHECK(C.leftCols(4) == before.leftCols(4));
  CHECK(C.col(9) == before.col(9));
}

TEST(gemm_with_zero_beta_does_not_read_the_result) {
  const Matrix A = wave(3, 2, 0.7), B = wave(2, 3, 0.8);
  Matrix C = Matrix::Constant(3, 3, std::nan(""));
  lapack::gemm(false, false, 1.0, A, B, 0.0, C);
  CHECK_NEAR(distance(C, A * B), 0, 1e-14);
}

TEST(syrk_fills_the_lower_triangle_only) {
  const Matrix A = wave(6, 4, 0.9);
  Matrix C = Matrix::Constant(6, 6, 7.0);
  lapack::syrk(3.0, A, 0.0, C);
  const Matrix full = 3.0 * A * A.transpose();
  for (Index j = 0; j < 6; ++j)
    for (Index i = 0; i < 6; ++i) CHECK_NEAR(C(i, j), i >= j ? full(i, j) : 7.0, 1e-13);
}

TEST(cholesky_and_what_follows_it) {
  const Index n = 70;  // more than one block
  const Matrix B = wave(n, n, 1.3);
  const Matrix A = B * B.transpose() + 5 * Matrix::Identity(n, n);
  Matrix L = A.triangularView<Eigen::Lower>();
  L.triangularView<Eigen::StrictlyUpper>().setConstant(99);  // must not be read
  CHECK(lapack::cholesky(L));
  const Matrix T = L.triangularView<Eigen::Lower>();
  CHECK_NEAR(distance(T * T.transpose(), A), 0, 1e-11);

  const Matrix Y = wave(n, 3, 1.4);
  Matrix solved = Y;
  lapack::solve_lower(false, L, solved);
  CHECK_NEAR(distance(T * solved, Y), 0, 1e-12);
  lapack::solve_lower(true, L, solved);
  CHECK_NEAR(distance(A * solved, Y), 0, 1e-11);

  Matrix right = Y.transpose();
  lapack::solve_right(true, L, right);
  CHECK_NEAR(distance(right * T.transpose(), Y.transpose()), 0, 1e-12);
  lapack::solve_right(false, L, right);
  CHECK_NEAR(distance(right * A, Y.transpose()), 0, 1e-11);

  const Matrix V = B + B.transpose();
  Matrix C = V;
  lapack::congruence(L, C);
  C.triangularView<Eigen::StrictlyUpper>() = C.transpose();
  CHECK_NEAR(distance(T * C * T.transpose(), V), 0, 1e-11);

  lapack::cholesky_inverse(L);
  L.triangularView<Eigen::StrictlyUpper>() = L.transpose();
  CHECK_NEAR(distance(L * A, Matrix::Identity(n, n)), 0, 1e-12);
}

TEST(cholesky_says_what_is_not_positive_definite) {
  Matrix A = Matrix::Identity(4, 4);
  A(2, 2) = -1;
  CHECK(!lapack::cholesky(A));
}

TEST(symm_reads_the_lower_triangle_and_adds) {
  const Matrix B = wave(6, 6, 1.5), Y = wave(6, 2, 1.6);
  const Matrix A = B + B.transpose();
  Matrix lower = A.triangularView<Eigen::Lower>();
  lower.triangularView<Eigen::StrictlyUpper>().setConstant(99);
  Matrix C = Y;
  lapack::symm(lower, Y, C);
  CHECK_NEAR(distance(C, A * Y + Y), 0, 1e-13);
}

TEST(tridiagonal_form_and_its_eigenvectors) {
  const Index n = 70;
  const Matrix B = wave(n, n, 1.7);
  const Matrix A = B + B.transpose();
  Matrix Q = A.triangularView<Eigen::Lower>();
  Q.triangularView<Eigen::StrictlyUpper>().setConstant(99);  // must not be read
  Vector d, e, reflectors;
  lapack::tridiagonalise(Q, d, e, reflectors);
  Matrix T = d.asDiagonal();
  T.diagonal(1) = T.diagonal(-1) = e;
  Matrix QT = T;
  lapack::reflect(false, Q, reflectors, QT);
  Matrix AQ = QT;  // A = Q T Q', so that Q'A = T Q' and Q'(A Q) = T
  lapack::reflect(true, Q, reflectors, AQ);
  CHECK_NEAR(distance(AQ, T), 0, 1e-12);
  Matrix I = Matrix::Identity(n, n);
  lapack::reflect(false, Q, reflectors, I);
  CHECK_NEAR(distance(QT * I.transpose(), A), 0, 1e-12);

  Matrix U(n, n);
  Vector values = d;
  lapack::eigen_tridiagonal(values, e, U);
  for (Index i = 1; i < n; ++i) CHECK(values[i - 1] <= values[i]);
  CHECK_NEAR(distance(U * values.asDiagonal() * U.transpose(), T), 0, 1e-12);
}

TEST(tridiagonal_form_of_tiny_matrices) {
  Matrix none(0, 0), one = Matrix::Constant(1, 1, -2.5), U(1, 1);
  Vector d, e, reflectors;
  lapack::tridiagonalise(none, d, e, reflectors);
  CHECK(d.size() == 0);
  lapack::tridiagonalise(one, d, e, reflectors);
  CHECK_NEAR(d[0], -2.5, 0);
  lapack::eigen_tridiagonal(d, e, U);
  CHECK_NEAR(std::abs(U(0, 0)), 1, 0);
}
