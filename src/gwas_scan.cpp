#include "core/scan.h"
#include "geno_source.h"

using namespace kinlmm;

namespace {

// Owns the memory that NullModel looks at.
struct NullData {
  explicit NullData(const Rcpp::List& null)
      : U(null["U"]),
        X(null["X"]),
        within(null["within"]),
        d(null["d"]),
        scale(null["scale"]),
        y(null["y"]),
        intercept(Rf_isNull(null["intercept"]) ? Rcpp::NumericVector(0)
                                               : Rcpp::NumericVector(null["intercept"])) {
  }
  Rcpp::NumericMatrix U, X, within;
  Rcpp::NumericVector d, scale, y, intercept;
};

Rcpp::List as_list(const ScanResult& r) {
  using Rcpp::_;
  return Rcpp::List::create(
      _["status"] = r.status, _["n"] = r.observed, _["eaf"] = r.frequency,
      _["beta"] = r.beta, _["se"] = r.se, _["lambda"] = r.lambda,
      _["lambda_ml"] = r.lambda_ml, _["wald"] = r.wald, _["lrt"] = r.lrt,
      _["score"] = r.score, _["widened"] = static_cast<double>(r.widened),
      _["seconds"] = Rcpp::NumericVector::create(
          _["read"] = r.read_seconds, _["rotate"] = r.rotate_seconds,
          _["sums"] = r.sums_seconds, _["optima"] = r.optima_seconds));
}

}  // namespace

// null: see null_model(), with lambda_max; source: see core_source(), its samples those
// of null. options: nodes and half_width, for tests.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_gwas_scan(Rcpp::List null, Rcpp::List source, bool per_marker,
                         Rcpp::List filter, int threads, int nodes, double half_width,
                         SEXP callback) {
  return glue::guarded([&] {
    const NullData data(null);
    const NullModel model{glue::map(data.U),
                          glue::map(data.d),
                          glue::map(data.scale),
                          glue::map(data.X),
                          glue::map(data.y),
                          glue::map(data.within),
                          glue::map(data.intercept),
                          Rcpp::as<double>(null["n"]),
                          Rcpp::as<double>(null["lambda_reml"]),
                          Rcpp::as<double>(null["lambda_ml"]),
                          Rcpp::as<double>(null["lambda_max"])};
    ScanOptions options;
    options.per_marker = per_marker;
    options.filter = glue::as_filter(filter);
    options.threads = threads;
    options.nodes = nodes;
    options.half_width = half_width;
    const auto geno = glue::open_source(source, 1);  // see kChunkBlocks in core/scan.cpp
    glue::RMonitor monitor(callback);
    return as_list(scan(model, *geno, options, monitor));
  });
}
