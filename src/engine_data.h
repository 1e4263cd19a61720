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

}  // namespace glue
}  // namespace kinlmm
