// core/lapack.h on the BLAS and LAPACK that R itself uses.
#ifndef USE_FC_LEN_T
#define USE_FC_LEN_T
#endif
#include "core/lapack.h"

#include <R_ext/BLAS.h>
#include <R_ext/Lapack.h>
#include <Rconfig.h>

#include <algorithm>
#include <vector>

#include "core/error.h"

#ifndef FCONE
#define FCONE
#endif

namespace kinlmm {
namespace lapack {

namespace {
int as_int(Index value) {
  return static_cast<int>(value);
}
}  // namespace

void gemm(bool transpose_a, bool transpose_b, double alpha, const ConstMatrixRef& A,
          const ConstMatrixRef& B, double beta, MatrixRef C) {
  const char* op_a = transpose_a ? "T" : "N";
  const char* op_b = transpose_b ? "T" : "N";
  const int rows = as_int(C.rows()), cols = as_int(C.cols());
  const int inner = as_int(transpose_a ? A.rows() : A.cols());
  if (rows == 0 || cols == 0) return;
  const int lda = as_int(A.outerStride()), ldb = as_int(B.outerStride());
  const int ldc = as_int(C.outerStride());
  F77_CALL(dgemm)
  (op_a, op_b, &rows, &cols, &inner, &alpha, A.data(), &lda, B.data(), &ldb, &beta,
   C.data(), &ldc FCONE FCONE);
}

void syrk(double alpha, const ConstMatrixRef& A, double beta, MatrixRef C) {
  const int n = as_int(C.rows()), k = as_int(A.cols());
  const int lda = as_int(A.outerStride()), ldc = as_int(C.outerStride());
  if (n == 0) return;
  F77_CALL(dsyrk)
  ("L", "N", &n, &k, &alpha, A.data(), &lda, &beta, C.data(), &ldc FCONE FCONE);
}

void tridiagonalise(MatrixRef A, Vector& d, Vector& e, Vector& reflectors) {
  const int n = as_int(A.rows()), lda = as_int(A.outerStride());
  d.resize(n);
  e.resize(std::max(n - 1, 0));
  reflectors.resize(e.size());
  if (n == 0) return;
  int info = 0, lwork = -1;
  double work_size = 0;
  F77_CALL(dsytrd)
  ("L", &n, A.data(), &lda, d.data(), e.data(), reflectors.data(), &work_size, &lwork,
   &info FCONE);
  lwork = static_cast<int>(work_size);
  std::vector<double> work(static_cast<std::size_t>(lwork));
  F77_CALL(dsytrd)
  ("L", &n, A.data(), &lda, d.data(), e.data(), reflectors.data(), work.data(), &lwork,
   &info FCONE);
}

void reflect(bool transpose, const ConstMatrixRef& A, const Vector& reflectors,
             MatrixRef B) {
  const int n = as_int(B.rows()), cols = as_int(B.cols());
  const int lda = as_int(A.outerStride()), ldb = as_int(B.outerStride());
  const char* op = transpose ? "T" : "N";
  if (n < 2 || cols == 0) return;
  int info = 0, lwork = -1;
  double work_size = 0;
  F77_CALL(dormtr)
  ("L", "L", op, &n, &cols, A.data(), &lda, reflectors.data(), B.data(), &ldb, &work_size,
   &lwork, &info FCONE FCONE FCONE);
  lwork = static_cast<int>(work_size);
  std::vector<double> work(static_cast<std::size_t>(lwork));
  F77_CALL(dormtr)
  ("L", "L", op, &n, &cols, A.data(), &lda, reflectors.data(), B.data(), &ldb,
   work.data(), &lwork, &info FCONE FCONE FCONE);
}

void eigen_tridiagonal(Vector& d, Vector e, MatrixRef U) {
  const int n = as_int(U.rows()), ldu = as_int(U.outerStride());
  if (n == 0) return;
  int info = 0, lwork = -1, liwork = -1, iwork_size = 0;
  double work_size = 0;
  F77_CALL(dstedc)
  ("I", &n, d.data(), e.data(), U.data(), &ldu, &work_size, &lwork, &iwork_size, &liwork,
   &info FCONE);
  lwork = static_cast<int>(work_size);
  liwork = iwork_size;
  std::vector<double> work(static_cast<std::size_t>(lwork));
  std::vector<int> iwork(static_cast<std::size_t>(liwork));
  F77_CALL(dstedc)
  ("I", &n, d.data(), e.data(), U.data(), &ldu, work.data(), &lwork, iwork.data(),
   &liwork, &info FCONE);
  if (info != 0) throw Error("eigen_failed", {{"info", info}});
}

void symm(const ConstMatrixRef& A, const ConstMatrixRef& B, MatrixRef C) {
  const int rows = as_int(C.rows()), cols = as_int(C.cols());
  const int lda = as_int(A.outerStride()), ldb = as_int(B.outerStride());
  const int ldc = as_int(C.outerStride());
  const double one = 1;
  if (rows == 0 || cols == 0) return;
  F77_CALL(dsymm)
  ("L", "L", &rows, &cols, &one, A.data(), &lda, B.data(), &ldb, &one, C.data(),
   &ldc FCONE FCONE);
}

bool cholesky(MatrixRef A) {
  const int n = as_int(A.rows()), lda = as_int(A.outerStride());
  int info = 0;
  if (n == 0) return true;
  F77_CALL(dpotrf)
  ("L", &n, A.data(), &lda, &info FCONE);
  return info == 0;
}

void cholesky_inverse(MatrixRef L) {
  const int n = as_int(L.rows()), lda = as_int(L.outerStride());
  int info = 0;
  if (n == 0) return;
  F77_CALL(dpotri)
  ("L", &n, L.data(), &lda, &info FCONE);
  if (info != 0) throw Error("inverse_failed", {{"info", info}});
}

void solve_lower(bool transpose, const ConstMatrixRef& L, MatrixRef B) {
  const int rows = as_int(B.rows()), cols = as_int(B.cols());
  const int lda = as_int(L.outerStride()), ldb = as_int(B.outerStride());
  const double one = 1;
  if (rows == 0 || cols == 0) return;
  F77_CALL(dtrsm)
  ("L", "L", transpose ? "T" : "N", "N", &rows, &cols, &one, L.data(), &lda, B.data(),
   &ldb FCONE FCONE FCONE FCONE);
}

void solve_right(bool transpose, const ConstMatrixRef& L, MatrixRef B) {
  const int rows = as_int(B.rows()), cols = as_int(B.cols());
  const int lda = as_int(L.outerStride()), ldb = as_int(B.outerStride());
  const double one = 1;
  if (rows == 0 || cols == 0) return;
  F77_CALL(dtrsm)
  ("R", "L", transpose ? "T" : "N", "N", &rows, &cols, &one, L.data(), &lda, B.data(),
   &ldb FCONE FCONE FCONE FCONE);
}

void congruence(const ConstMatrixRef& L, MatrixRef A) {
  const int n = as_int(A.rows()), lda = as_int(A.outerStride());
  const int ldb = as_int(L.outerStride()), type = 1;
  int info = 0;
  if (n == 0) return;
  F77_CALL(dsygst)
  (&type, "L", &n, A.data(), &lda, L.data(), &ldb, &info FCONE);
  if (info != 0) throw Error("congruence_failed", {{"info", info}});
}

}  // namespace lapack
}  // namespace kinlmm
