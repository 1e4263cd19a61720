#include "core/lapack.h"
#include "core/symmetry.h"
#include "glue.h"

using namespace kinlmm;

// Eigenvalues (increasing) and eigenvectors of a symmetric matrix, lower triangle read.
// [[Rcpp::export]]
Rcpp::List cpp_symmetric_eigen(Rcpp::NumericMatrix K) {
  return glue::guarded([&] {
    Rcpp::NumericMatrix U = Rcpp::clone(K);
    Eigen::Map<Matrix> vectors(U.begin(), U.nrow(), U.ncol());
    Vector d;
    lapack::eigen_symmetric(vectors, d);
    return Rcpp::List::create(Rcpp::_["d"] = glue::wrap_vector(d), Rcpp::_["U"] = U);
  });
}

// [[Rcpp::export]]
Rcpp::List cpp_check_symmetry(Rcpp::NumericMatrix K) {
  return glue::guarded([&] {
    const Symmetry found = check_symmetry(glue::map(K));
    return Rcpp::List::create(
        Rcpp::_["largest"] = found.largest, Rcpp::_["difference"] = found.difference,
        Rcpp::_["row"] = static_cast<double>(found.row + 1),
        Rcpp::_["column"] = static_cast<double>(found.column + 1),
        Rcpp::_["not_finite"] = static_cast<double>(found.not_finite));
  });
}
