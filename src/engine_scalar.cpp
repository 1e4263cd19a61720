#include "core/level_sums.h"
#include "glue.h"

using namespace kinlmm;
using glue::map;

// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_level_sums(Rcpp::NumericMatrix Xy, Rcpp::NumericVector z,
                          Rcpp::IntegerVector code, int q) {
  return glue::guarded([&] {
    const LevelSums levels = level_sums(map(Xy), map(z), code.begin(), q);
    const MergedLevels merged = merge_levels(levels.d, levels.sums);
    return Rcpp::List::create(Rcpp::_["level_d"] = glue::wrap_vector(levels.d),
                              Rcpp::_["level_sums"] = glue::wrap_matrix(levels.sums),
                              Rcpp::_["within"] = glue::wrap_matrix(levels.within),
                              Rcpp::_["d"] = glue::wrap_vector(merged.d),
                              Rcpp::_["sums"] = glue::wrap_matrix(merged.sums),
                              Rcpp::_["count"] = glue::wrap_vector(merged.count));
  });
}
