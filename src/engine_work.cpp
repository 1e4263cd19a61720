#include "core/least_squares.h"
#include "glue.h"

using namespace kinlmm;
using glue::map;

// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_least_squares(Rcpp::NumericMatrix X, Rcpp::NumericVector y,
                             Rcpp::NumericVector root) {
  return glue::guarded([&] {
    Rcpp::NumericMatrix Q(Rcpp::no_init(X.nrow(), X.ncol()));
    Rcpp::NumericVector r(Rcpp::no_init(X.nrow()));
    Eigen::Map<Matrix> to_Q(Q.begin(), Q.nrow(), Q.ncol());
    Eigen::Map<Vector> to_r(r.begin(), r.size());
    const LeastSquares fit = least_squares(map(X), map(y), map(root), to_Q, to_r);
    return Rcpp::List::create(Rcpp::_["Q"] = Q, Rcpp::_["r"] = r,
                              Rcpp::_["R"] = glue::wrap_matrix(fit.R),
                              Rcpp::_["beta"] = glue::wrap_vector(fit.beta),
                              Rcpp::_["reliable"] = fit.reliable);
  });
}
