// BLAS and LAPACK as the core uses them. In the package they are R's own
// (src/lapack.cpp); the stand-alone tests bring theirs (tests/cpp/lapack.cpp).
// Never call these from inside parallel_for().
#pragma once

#include "core/types.h"

namespace kinlmm {
namespace lapack {

// C = alpha * op(A) * op(B) + beta * C, where op transposes if asked to.
void gemm(bool transpose_a, bool transpose_b, double alpha, const ConstMatrixRef& A,
          const ConstMatrixRef& B, double beta, MatrixRef C);

// Lower triangle of C (n x n) = alpha * A * A' + beta * C, with A n x k.
void syrk(double alpha, const ConstMatrixRef& A, double beta, MatrixRef C);

// Q and the tridiagonal T of the symmetric A = Q T Q' (lower triangle read): d holds the
// diagonal of T and e what is beside it; A and reflectors on return hold Q.
void tridiagonalise(MatrixRef A, Vector& d, Vector& e, Vector& reflectors);

// B = Q B, or Q'B, of tridiagonalise().
void reflect(bool transpose, const ConstMatrixRef& A, const Vector& reflectors,
             MatrixRef B);

// Eigendecomposition of a symmetric tridiagonal matrix: on return d holds the
// eigenvalues, in increasing order, and U (n x n) the eigenvectors. Throws
// Error("eigen_failed").
void eigen_tridiagonal(Vector& d, Vector e, MatrixRef U);

// C = A * B + C with the symmetric A (lower triangle read).
void symm(const ConstMatrixRef& A, const ConstMatrixRef& B, MatrixRef C);

// The Cholesky factor L of the symmetric A in its lower triangle; false if A is not
// positive definite.
bool cholesky(MatrixRef A);

// The lower triangle of A^-1 from the factor L of A, in its place.
void cholesky_inverse(MatrixRef L);

// B = L^-1 B, or L^-T B.
void solve_lower(bool transpose, const ConstMatrixRef& L, MatrixRef B);

// B = B L^-1, or B L^-T.
void solve_right(bool transpose, const ConstMatrixRef& L, MatrixRef B);

// The lower triangle of L^-1 A L^-T for the symmetric A (lower triangle read).
void congruence(const ConstMatrixRef& L, MatrixRef A);

}  // namespace lapack
}  // namespace kinlmm
