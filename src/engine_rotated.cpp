#include "core/rotated.h"
#include "engine_data.h"
#include "glue.h"

using namespace kinlmm;
using glue::map;

RotatedData glue::as_rotated(const Rcpp::List& x, bool centred) {
  RotatedData data;
  data.d = map(Rcpp::as<Rcpp::NumericVector>(x["d"]));
  if (x.containsElementNamed("beside")) {
    data.beside = map(Rcpp::as<Rcpp::NumericVector>(x["beside"]));
  }
  data.Xy = map(Rcpp::as<Rcpp::NumericMatrix>(x["Xy"]));
  if (x.containsElementNamed("count")) {
    data.count = map(Rcpp::as<Rcpp::NumericVector>(x["count"]));
  }
  data.within = map(Rcpp::as<Rcpp::NumericMatrix>(x["within"]));
  data.n = static_cast<Index>(Rcpp::as<double>(x["n"]));
  data.unit = Rcpp::as<double>(x["unit"]);
  data.upper = Rcpp::as<double>(x["upper"]);
  if (centred && !Rf_isNull(x["intercept"])) {
    data.intercept = map(Rcpp::as<Rcpp::NumericVector>(x["intercept"]));
  }
  return data;
}

namespace {

Rcpp::List wrap_point(const Point& point) {
  return Rcpp::List::create(Rcpp::_["tau"] = point.x, Rcpp::_["objective"] = point.value,
                            Rcpp::_["first"] = point.first,
                            Rcpp::_["second"] = point.second);
}

}  // namespace

// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_rotated_evaluate(Rcpp::List data, double tau, bool reml, bool centred) {
  return glue::guarded([&] {
    const RotatedData rotated = glue::as_rotated(data, centred);
    Rcpp::List out = wrap_point(rotated_criterion(rotated, reml, tau));
    const RatioMoments moments = rotated_moments(rotated, tau);
    out["logdet"] = moments.logdet;
    out["logdet1"] = moments.logdet1;
    out["logdet2"] = moments.logdet2;
    out["S"] = glue::wrap_matrix(moments.S);
    out["S1"] = glue::wrap_matrix(moments.S1);
    out["S2"] = glue::wrap_matrix(moments.S2);
    return out;
  });
}

// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_rotated_optimise(Rcpp::List data, bool reml, bool centred) {
  return glue::guarded([&] {
    const IntervalMinimum fit = fit_rotated(glue::as_rotated(data, centred), reml);
    Rcpp::List out = wrap_point(fit.at);
    out["evaluations"] = fit.evaluations;
    out["iterations"] = fit.iterations;
    out["minima"] = fit.minima;
    out["bound"] = fit.bound;
    return out;
  });
}

// H^-1 B for B in the basis.
// [[Rcpp::export(rng = false)]]
Rcpp::NumericMatrix cpp_rotated_solve(Rcpp::List data, double tau,
                                      Rcpp::NumericMatrix B) {
  return glue::wrap_matrix(rotated_solve(glue::as_rotated(data, false), tau, map(B)));
}
