#include "core/sparse_cholesky.h"
#include "engine_data.h"
#include "glue.h"

using namespace kinlmm;
using glue::map;

namespace {

SparseMatrix precision_of(const Rcpp::List& Q) {
  return glue::as_sparse(Q, Rcpp::as<Rcpp::IntegerVector>(Q["p"]).size() - 1);
}

}  // namespace

// Q: lower triangle of a precision matrix with all of its diagonal. weakest: the smallest
// pivot relative to the diagonal, 0 where Q is not positive definite; diagonal: of Q^-1.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_precision_facts(Rcpp::List Q) {
  return glue::guarded([&] {
    const SparseMatrix matrix = precision_of(Q);
    SparseCholesky cholesky(matrix);
    if (!cholesky.factor(matrix.valuePtr()))
      return Rcpp::List::create(Rcpp::_["weakest"] = 0.0);
    cholesky.invert();
    Vector diagonal(matrix.cols());
    for (Index j = 0; j < matrix.cols(); ++j) cholesky.inverse_at(j, j, diagonal(j));
    return Rcpp::List::create(Rcpp::_["weakest"] = cholesky.weakest_pivot(),
                              Rcpp::_["logdet"] = cholesky.logdet(),
                              Rcpp::_["diagonal"] = glue::wrap_vector(diagonal));
  });
}

// Q^-1 B, or with `half` R B for an R with R R' = Q^-1.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_precision_solve(Rcpp::List Q, Rcpp::NumericMatrix B, bool half) {
  return glue::guarded([&] {
    const SparseMatrix matrix = precision_of(Q);
    SparseCholesky cholesky(matrix);
    cholesky.factor(matrix.valuePtr());
    return Rcpp::List::create(
        glue::wrap_matrix(half ? cholesky.back(map(B)) : cholesky.solve(map(B))));
  });
}
