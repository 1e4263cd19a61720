// core/lapack.h on the BLAS and LAPACK of the system, so that the tests need no R.
#include "core/lapack.h"

#include <algorithm>
#include <vector>

#include "core/error.h"

extern "C" {
void dgemm_(const char*, const char*, const int*, const int*, const int*, const double*,
            const double*, const int*, const double*, const int*, const double*, double*,
            const int*, std::size_t, std::size_t);
void dsyrk_(const char*, const char*, const int*, const int*, const double*,
            const double*, const int*, const double*, double*, const int*, std::size_t,
            std::size_t);
void dsytrd_(const char*, const int*, double*, const int*, double*, double*, double*,
             double*, const int*, int*, std::size_t);
void dormtr_(const char*, const char*, const char*, const int*, const int*, const double*,
             const int*, const double*, double*, const int*, double*, const int*, int*,
             std::size_t, std::size_t, std::size_t);
void dstedc_(const char*, const int*, double*, double*, double*, const int*, double*,
             const int*, int*, const int*, int*, std::size_t);
void dsymm_(const char*, const char*, const int*, const int*, const double*,
            const double*, const int*, const double*, const int*, const double*, double*,
            const int*, std::size_t, std::size_t);
void dpotrf_(const char*, const int*, double*, const int*, int*, std::size_t);
void dpotri_(const char*, const int*, double*, const int*, int*, std::size_t);
void dtrsm_(const char*, const char*, const char*, const char*, const int*, const int*,
            const double*, const double*, const int*, double*, const int*, std::size_t,
            std::size_t, std::size_t, std::size_t);
void dsygst_(const int*, const char*, const int*, double*, const int*, const double*,
             const int*, int*, std::size_t);
}

namespace kinlmm {
namespace lapack {

namespace {
int as_int(Index value) {
  return static_cast<int>(value);
}
}  // namespace

void gemm(bool transpose_a, bool transpose_b, double alpha, const ConstMatrixRef& A,
          const ConstMatrixRef& B, double beta, MatrixRef C) {
  const int rows = as_int(C.rows()), cols = as_int(C.cols());
  const int inner = as_int(transpose_a ? A.rows() : A.cols());
  const int lda = as_int(A.outerStride()), ldb = as_int(B.outerStride());
  const int ldc = as_int(C.outerStride());
  if (rows == 0 || cols == 0) return;
  dgemm_(transpose_a ? "T" : "N", transpose_b ? "T" : "N", &rows, &cols, &inner, &alpha,
         A.data(), &lda, B.data(), &ldb, &beta, C.data(), &ldc, 1, 1);
}

void syrk(double alpha, const ConstMatrixRef& A, double beta, MatrixRef C) {
  const int n = as_int(C.rows()), k = as_int(A.cols());
  const int lda = as_int(A.outerStride()), ldc = as_int(C.outerStride());
  if (n == 0) return;
  dsyrk_("L", "N", &n, &k, &alpha, A.data(), &lda, &beta, C.data(), &ldc, 1, 1);
}

void tridiagonalise(MatrixRef A, Vector& d, Vector& e, Vector& reflectors) {
  const int n = as_int(A.rows()), lda = as_int(A.outerStride());
  d.resize(n);
  e.resize(std::max(n - 1, 0));
  reflectors.resize(e.size());
  if (n == 0) return;
  int info = 0, lwork = -1;
  double work_size = 0;
  dsytrd_("L", &n, A.data(), &lda, d.data(), e.data(), reflectors.data(), &work_size,
          &lwork, &info, 1);
  lwork = static_cast<int>(work_size);
  std::vector<double> work(static_cast<std::size_t>(lwork));
  dsytrd_("L", &n, A.data(), &lda, d.data(), e.data(), reflectors.data(), work.data(),
          &lwork, &info, 1);
}

void reflect(bool transpose, const ConstMatrixRef& A, const Vector& reflectors,
             MatrixRef B) {
  const int n = as_int(B.rows()), cols = as_int(B.cols());
  const int lda = as_int(A.outerStride()), ldb = as_int(B.outerStride());
  const char* op = transpose ? "T" : "N";
  if (n < 2 || cols == 0) return;
  int info = 0, lwork = -1;
  double work_size = 0;
  dormtr_("L", "L", op, &n, &cols, A.data(), &lda, reflectors.data(), B.data(), &ldb,
          &work_size, &lwork, &info, 1, 1, 1);
  lwork = static_cast<int>(work_size);
  std::vector<double> work(static_cast<std::size_t>(lwork));
  dormtr_("L", "L", op, &n, &cols, A.data(), &lda, reflectors.data(), B.data(), &ldb,
          work.data(), &lwork, &info, 1, 1, 1);
}

void eigen_tridiagonal(Vector& d, Vector e, MatrixRef U) {
  const int n = as_int(U.rows()), ldu = as_int(U.outerStride());
  if (n == 0) return;
  int info = 0, lwork = -1, liwork = -1, iwork_size = 0;
  double work_size = 0;
  dstedc_("I", &n, d.data(), e.data(), U.data(), &ldu, &work_size, &lwork, &iwork_size,
          &liwork, &info, 1);
  lwork = static_cast<int>(work_size);
  liwork = iwork_size;
  std::vector<double> work(static_cast<std::size_t>(lwork));
  std::vector<int> iwork(static_cast<std::size_t>(liwork));
  dstedc_("I", &n, d.data(), e.data(), U.data(), &ldu, work.data(), &lwork, iwork.data(),
          &liwork, &info, 1);
  if (info != 0) throw Error("eigen_failed", {{"info", info}});
}

void symm(const ConstMatrixRef& A, const ConstMatrixRef& B, MatrixRef C) {
  const int rows = as_int(C.rows()), cols = as_int(C.cols());
  const int lda = as_int(A.outerStride()), ldb = as_int(B.outerStride());
  const int ldc = as_int(C.outerStride());
  const double one = 1;
  if (rows == 0 || cols == 0) return;
  dsymm_("L", "L", &rows, &cols, &one, A.data(), &lda, B.data(), &ldb, &one, C.data(),
         &ldc, 1, 1);
}

bool cholesky(MatrixRef A) {
  const int n = as_int(A.rows()), lda = as_int(A.outerStride());
  int info = 0;
  if (n == 0) return true;
  dpotrf_("L", &n, A.data(), &lda, &info, 1);
  return info == 0;
}

void cholesky_inverse(MatrixRef L) {
  const int n = as_int(L.rows()), lda = as_int(L.outerStride());
  int info = 0;
  if (n == 0) return;
  dpotri_("L", &n, L.data(), &lda, &info, 1);
  if (info != 0) throw Error("inverse_failed", {{"info", info}});
}

void solve_lower(bool transpose, const ConstMatrixRef& L, MatrixRef B) {
  const int rows = as_int(B.rows()), cols = as_int(B.cols());
  const int lda = as_int(L.outerStride()), ldb = as_int(B.outerStride());
  const double one = 1;
  if (rows == 0 || cols == 0) return;
  dtrsm_("L", "L", transpose ? "T" : "N", "N", &rows, &cols, &one, L.data(), &lda,
         B.data(), &ldb, 1, 1, 1, 1);
}

void solve_right(bool transpose, const ConstMatrixRef& L, MatrixRef B) {
  const int rows = as_int(B.rows()), cols = as_int(B.cols());
  const int lda = as_int(L.outerStride()), ldb = as_int(B.outerStride());
  const double one = 1;
  if (rows == 0 || cols == 0) return;
  dtrsm_("R", "L", transpose ? "T" : "N", "N", &rows, &cols, &one, L.data(), &lda,
         B.data(), &ldb, 1, 1, 1, 1);
}

void congruence(const ConstMatrixRef& L, MatrixRef A) {
  const int n = as_int(A.rows()), lda = as_int(A.outerStride());
  const int ldb = as_int(L.outerStride()), type = 1;
  int info = 0;
  if (n == 0) return;
  dsygst_(&type, "L", &n, A.data(), &lda, L.data(), &ldb, &info, 1);
  if (info != 0) throw Error("congruence_failed", {{"info", info}});
}

}  // namespace lapack
}  // namespace kinlmm
