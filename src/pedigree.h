// A pedigree as R has it: numbers of rows, 1-based, 0 if unknown.
#pragma once

#include <vector>

#include "core/pedigree.h"
#include "glue.h"

namespace kinlmm {
namespace glue {

inline std::vector<int> as_parents(const Rcpp::IntegerVector& x) {
  std::vector<int> out(x.begin(), x.end());
  for (int& parent : out) --parent;
  return out;
}

inline Pedigree as_pedigree(const Rcpp::IntegerVector& sire,
                            const Rcpp::IntegerVector& dam) {
  return {as_parents(sire), as_parents(dam)};
}

}  // namespace glue
}  // namespace kinlmm
