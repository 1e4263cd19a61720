#include "core/pca.h"

#include "geno_source.h"

using namespace kinlmm;

// Principal components of a source. unit: 0 deviation, 1 frequency, 2 none.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_pca(Rcpp::List source, int components, int unit, Rcpp::List filter,
                   bool exact, double tolerance, int passes, int block,
                   std::string instructions, int threads, SEXP progress) {
  return glue::guarded([&] {
    const auto geno = glue::open_source(source, threads);
    PcaOptions options;
    options.components = components;
    options.unit = static_cast<MarkerUnit>(unit);
    options.filter = glue::as_filter(filter);
    options.exact = exact;
    options.tolerance = tolerance;
    options.passes = passes;
    options.block = block;
    options.with = as_instructions(instructions);
    options.threads = threads;
    glue::RMonitor monitor(progress);
    const Pca out = pca(*geno, options, monitor);
    return Rcpp::List::create(
        Rcpp::_["values"] = glue::wrap_vector(out.values),
        Rcpp::_["scores"] = glue::wrap_matrix(out.scores),
        Rcpp::_["loadings"] = glue::wrap_matrix(out.loadings),
        Rcpp::_["residuals"] = glue::wrap_vector(out.residuals),
        Rcpp::_["trace"] = out.trace,
        Rcpp::_["used0"] = std::vector<double>(out.used.begin(), out.used.end()),
        Rcpp::_["mean"] = out.mean, Rcpp::_["scale"] = out.scale,
        Rcpp::_["fates"] = std::vector<double>(out.fates.begin(), out.fates.end()),
        Rcpp::_["passes"] = static_cast<double>(out.passes));
  });
}

// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_pca_project(Rcpp::List source, std::vector<double> mean,
                           std::vector<double> scale, Rcpp::NumericMatrix loadings,
                           int threads, SEXP progress) {
  return glue::guarded([&] {
    const auto geno = glue::open_source(source, threads);
    glue::RMonitor monitor(progress);
    const Matrix scores = project(*geno, mean, scale, glue::map(loadings), monitor);
    return Rcpp::List::create(Rcpp::_["scores"] = glue::wrap_matrix(scores));
  });
}
