#include "core/markers.h"
#include "geno_source.h"

using namespace kinlmm;
using glue::map;

namespace {

constexpr Index kBlock = 256;

}  // namespace

// W'A and W W'A of the kernel that cpp_grm() with these settings gives; used: 1-based.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_marker_products(Rcpp::List source, std::string method, Rcpp::List filter,
                               Rcpp::NumericMatrix A, int threads, SEXP progress) {
  return glue::guarded([&] {
    const auto geno = glue::open_source(source, threads);
    GrmOptions options;
    options.method = as_grm_method(method);
    options.filter = glue::as_filter(filter);
    options.block = kBlock;
    options.threads = threads;
    glue::RMonitor monitor(progress);
    const MarkerProducts at = marker_products(*geno, options, map(A), monitor);
    Rcpp::IntegerVector used(at.used.begin(), at.used.end());
    return Rcpp::List::create(Rcpp::_["used"] = used + 1, Rcpp::_["mean"] = at.mean,
                              Rcpp::_["scale"] = at.scale,
                              Rcpp::_["effects"] = glue::wrap_matrix(at.effects),
                              Rcpp::_["values"] = glue::wrap_matrix(at.values));
  });
}

// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_score_markers(Rcpp::List source, Rcpp::NumericVector mean,
                             Rcpp::NumericVector effect, int threads, SEXP progress) {
  return glue::guarded([&] {
    const auto geno = glue::open_source(source, threads);
    glue::RMonitor monitor(progress);
    const MarkerScores at = score_markers(*geno, map(mean), map(effect), kBlock, monitor);
    return Rcpp::List::create(Rcpp::_["values"] = glue::wrap_vector(at.values),
                              Rcpp::_["observed"] = Rcpp::NumericVector(
                                  at.observed.begin(), at.observed.end()));
  });
}

// Z1 Z2' and the diagonal of Z1 Z1'; scales: lists of mean and scale.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_cross_kernel(Rcpp::List rows, Rcpp::List row_scale, Rcpp::List columns,
                            Rcpp::List column_scale, int threads, SEXP progress) {
  const auto scale_of = [](const Rcpp::List& x) {
    return MarkerScale{map(Rcpp::as<Rcpp::NumericVector>(x["mean"])),
                       map(Rcpp::as<Rcpp::NumericVector>(x["scale"]))};
  };
  return glue::guarded([&] {
    const auto first = glue::open_source(rows, threads);
    const auto second = glue::open_source(columns, threads);
    glue::RMonitor monitor(progress);
    const CrossKernel at = cross_kernel(*first, scale_of(row_scale), *second,
                                        scale_of(column_scale), kBlock, monitor);
    return Rcpp::List::create(Rcpp::_["K"] = glue::wrap_matrix(at.K),
                              Rcpp::_["diagonal"] = glue::wrap_vector(at.diagonal));
  });
}
