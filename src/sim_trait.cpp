#include "core/sim_trait.h"

#include "geno_source.h"

using namespace kinlmm;

// Mean and variance of every marker of a source.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_sim_moments(Rcpp::List source, int block, int threads, SEXP progress) {
  return glue::guarded([&] {
    const auto geno = glue::open_source(source, threads);
    glue::RMonitor monitor(progress);
    const MarkerMoments moments = marker_moments(*geno, block, threads, monitor);
    return Rcpp::List::create(Rcpp::_["mean"] = glue::wrap_vector(moments.mean),
                              Rcpp::_["variance"] = glue::wrap_vector(moments.variance));
  });
}

// Genetic values (samples x traits) of effects B (markers x traits).
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_sim_values(Rcpp::List source, Rcpp::NumericMatrix B, int block,
                          int threads, SEXP progress) {
  return glue::guarded([&] {
    const auto geno = glue::open_source(source, threads);
    glue::RMonitor monitor(progress);
    Matrix values(geno->samples(), B.ncol());
    genetic_values(*geno, glue::map(B), block, threads, monitor, values);
    return Rcpp::List::create(Rcpp::_["values"] = glue::wrap_matrix(values));
  });
}
