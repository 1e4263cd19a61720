#include "core/lapack.h"
#include "core/symmetry.h"
#include "core/tridiagonal.h"
#include "glue.h"

using namespace kinlmm;

// K = Q T Q': the diagonal d of T, what is beside it, Q as reflectors (see
// cpp_reflect()), the largest eigenvalue, and how many are below -1e-12 of it.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_tridiagonalise(SEXP K) {
  return glue::guarded([&] {
    Rcpp::NumericMatrix A(Rcpp::no_init(Rf_nrows(K), Rf_ncols(K)));
    std::copy(REAL_RO(K), REAL_RO(K) + A.size(), A.begin());
    Tridiagonal T;
    Vector scales;
    lapack::tridiagonalise(Eigen::Map<Matrix>(A.begin(), A.nrow(), A.ncol()), T.diagonal,
                           T.beside, scales);
    const double largest = largest_eigenvalue(T);
    const Index negative = eigenvalues_below(T, -1e-12 * std::max(largest, 0.0));
    return Rcpp::List::create(
        Rcpp::_["d"] = glue::wrap_vector(T.diagonal),
        Rcpp::_["beside"] = glue::wrap_vector(T.beside), Rcpp::_["reflectors"] = A,
        Rcpp::_["scales"] = glue::wrap_vector(scales), Rcpp::_["largest"] = largest,
        Rcpp::_["negative"] = static_cast<double>(negative));
  });
}

// Q B, or Q'B.
// [[Rcpp::export(rng = false)]]
Rcpp::NumericMatrix cpp_reflect(Rcpp::NumericMatrix reflectors,
                                Rcpp::NumericVector scales, Rcpp::NumericMatrix B,
                                bool transpose) {
  Rcpp::NumericMatrix out = Rcpp::clone(B);
  lapack::reflect(transpose, glue::map(reflectors), glue::map(scales),
                  Eigen::Map<Matrix>(out.begin(), out.nrow(), out.ncol()));
  return out;
}

// Eigenvalues (increasing) and eigenvectors of T; those of K are Q times these.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_tridiagonal_eigen(Rcpp::NumericVector d, Rcpp::NumericVector beside) {
  return glue::guarded([&] {
    Rcpp::NumericMatrix U(Rcpp::no_init(d.size(), d.size()));
    Vector values = glue::map(d);
    lapack::eigen_tridiagonal(values, glue::map(beside),
                              Eigen::Map<Matrix>(U.begin(), U.nrow(), U.ncol()));
    return Rcpp::List::create(Rcpp::_["d"] = glue::wrap_vector(values), Rcpp::_["U"] = U);
  });
}

// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_check_symmetry(SEXP K) {
  return glue::guarded([&] {
    const Symmetry found = check_symmetry(glue::read_matrix(K));
    return Rcpp::List::create(
        Rcpp::_["largest"] = found.largest, Rcpp::_["difference"] = found.difference,
        Rcpp::_["row"] = static_cast<double>(found.row + 1),
        Rcpp::_["column"] = static_cast<double>(found.column + 1),
        Rcpp::_["not_finite"] = static_cast<double>(found.not_finite));
  });
}
