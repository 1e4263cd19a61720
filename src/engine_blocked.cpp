#include "core/blocked.h"
#include "glue.h"

using namespace kinlmm;
using glue::map;

namespace {

// The list that cpp_blocked_crossproducts() returned.
BlockedData as_blocked(const Rcpp::List& x) {
  BlockedData data;
  data.A = map(Rcpp::as<Rcpp::NumericMatrix>(x["A"]));
  data.B = map(Rcpp::as<Rcpp::NumericMatrix>(x["B"]));
  data.C = map(Rcpp::as<Rcpp::NumericMatrix>(x["C"]));
  data.row = Rcpp::as<std::vector<int>>(x["row"]);
  data.col = Rcpp::as<std::vector<int>>(x["col"]);
  data.n = static_cast<Index>(Rcpp::as<double>(x["n"]));
  data.k = data.A.rows();
  data.p = data.C.rows() - 1;
  data.q = data.k == 0 ? 0 : data.A.cols() / data.k;
  return data;
}

Rcpp::List wrap_evaluation(const BlockedEvaluation& e) {
  return Rcpp::List::create(Rcpp::_["objective"] = e.value,
                            Rcpp::_["gradient"] = glue::wrap_vector(e.gradient),
                            Rcpp::_["hessian"] = glue::wrap_matrix(e.hessian));
}

}  // namespace

// [[Rcpp::export]]
Rcpp::List cpp_blocked_crossproducts(Rcpp::NumericMatrix Z, Rcpp::NumericMatrix Xy,
                                     Rcpp::IntegerVector level, int q,
                                     Rcpp::IntegerVector row, Rcpp::IntegerVector col) {
  return glue::guarded([&] {
    const BlockedData data =
        blocked_data(map(Z), map(Xy), Rcpp::as<std::vector<int>>(level), q);
    return Rcpp::List::create(Rcpp::_["A"] = glue::wrap_matrix(data.A),
                              Rcpp::_["B"] = glue::wrap_matrix(data.B),
                              Rcpp::_["C"] = glue::wrap_matrix(data.C),
                              Rcpp::_["row"] = row, Rcpp::_["col"] = col,
                              Rcpp::_["n"] = static_cast<double>(data.n));
  });
}

// [[Rcpp::export]]
Rcpp::List cpp_blocked_moments(Rcpp::List data, Rcpp::NumericVector theta) {
  return glue::guarded([&] {
    const BlockedMoments moments = blocked_moments(as_blocked(data), map(theta));
    return Rcpp::List::create(Rcpp::_["logdet"] = moments.logdet,
                              Rcpp::_["S"] = glue::wrap_matrix(moments.S));
  });
}

// [[Rcpp::export]]
Rcpp::List cpp_blocked_evaluate(Rcpp::List data, Rcpp::NumericVector theta, bool reml) {
  return glue::guarded([&] {
    return wrap_evaluation(blocked_criterion(as_blocked(data), map(theta), reml));
  });
}

// [[Rcpp::export]]
Rcpp::List cpp_blocked_optimise(Rcpp::List data, bool reml, double tolerance,
                                int max_iterations, Rcpp::NumericMatrix starts) {
  return glue::guarded([&] {
    std::vector<Vector> from;
    for (Index i = 0; i < starts.ncol(); ++i) from.push_back(map(starts).col(i));
    const BlockedFit fit =
        fit_blocked(as_blocked(data), reml, tolerance, max_iterations, from);
    return Rcpp::List::create(
        Rcpp::_["theta"] = glue::wrap_vector(fit.theta),
        Rcpp::_["at"] = wrap_evaluation(fit.at), Rcpp::_["iterations"] = fit.iterations,
        Rcpp::_["evaluations"] = fit.evaluations, Rcpp::_["starts"] = fit.starts,
        Rcpp::_["converged"] = fit.converged, Rcpp::_["singular"] = fit.singular);
  });
}

// [[Rcpp::export]]
Rcpp::List cpp_blocked_ranef(Rcpp::List data, Rcpp::NumericVector theta) {
  return glue::guarded([&] {
    const BlockedEffects effects = blocked_effects(as_blocked(data), map(theta));
    return Rcpp::List::create(
        Rcpp::_["mode"] = glue::wrap_matrix(effects.mode),
        Rcpp::_["conditional"] = glue::wrap_matrix(effects.conditional),
        Rcpp::_["prediction"] = glue::wrap_matrix(effects.prediction));
  });
}
