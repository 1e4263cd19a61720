#include "core/grm.h"
#include "geno_source.h"

using namespace kinlmm;

// The relationship matrix of a source, and what became of its markers.
// [[Rcpp::export]]
Rcpp::List cpp_grm(Rcpp::List source, bool standardized, Rcpp::List filter, int block,
                   int threads, SEXP progress) {
  return glue::guarded([&] {
    const auto geno = glue::open_source(source, threads);
    const int n = static_cast<int>(geno->samples());
    // the result is written where R keeps it: a copy could be all the memory there is
    Rcpp::NumericMatrix K(Rcpp::no_init(n, n));
    Eigen::Map<Matrix> out(K.begin(), n, n);
    GrmOptions options;
    options.standardized = standardized;
    options.filter = glue::as_filter(filter);
    options.block = block;
    options.threads = threads;
    glue::RMonitor monitor(progress);
    const GrmCounts counts = grm(*geno, options, monitor, out);
    return Rcpp::List::create(
        Rcpp::_["K"] = K, Rcpp::_["used"] = static_cast<double>(counts.used),
        Rcpp::_["missing"] = static_cast<double>(counts.missing),
        Rcpp::_["monomorphic"] = static_cast<double>(counts.monomorphic),
        Rcpp::_["rare"] = static_cast<double>(counts.rare),
        Rcpp::_["hwe"] = static_cast<double>(counts.hwe));
  });
}
