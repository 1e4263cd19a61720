#include "core/lapack.h"
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
