// The data of the engines as their R lists hold them; defined beside the engines' glue.
#pragma once

#include <Rcpp.h>

#include "core/blocked_data.h"
#include "core/dense.h"
#include "core/rotated.h"

namespace kinlmm {
namespace glue {

RotatedData as_rotated(const Rcpp::List& x, bool centred);
BlockedData as_blocked(const Rcpp::List& x);
// The matrices stay where R has them: `x` must outlive the result.
DenseData as_dense(const Rcpp::List& x);

// Column-compressed matrices as lists of p, i and x, as in package 'Matrix'.
inline Rcpp::List wrap_sparse(const SparseMatrix& x) {
  return Rcpp::List::create(
      Rcpp::_["p"] =
          Rcpp::IntegerVector(x.outerIndexPtr(), x.outerIndexPtr() + x.cols() + 1),
      Rcpp::_["i"] =
          Rcpp::IntegerVector(x.innerIndexPtr(), x.innerIndexPtr() + x.nonZeros()),
      Rcpp::_["x"] = Rcpp::NumericVector(x.valuePtr(), x.valuePtr() + x.nonZeros()));
}

inline SparseMatrix as_sparse(const Rcpp::List& x, Index size) {
  const Rcpp::IntegerVector p = x["p"], i = x["i"];
  const Rcpp::NumericVector value = x["x"];
  return Eigen::Map<const SparseMatrix>(size, size, value.size(), p.begin(), i.begin(),
                                        value.begin());
}

}  // namespace glue
}  // namespace kinlmm
