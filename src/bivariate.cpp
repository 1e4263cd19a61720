#include "core/bivariate.h"

#include <cmath>

#include "glue.h"

using namespace kinlmm;
using glue::map;

namespace {

std::vector<Index> rows_of(const Rcpp::IntegerVector& rows) {
  std::vector<Index> out;
  for (int row : rows) out.push_back(row - 1);
  return out;
}

// The moments of the data that R holds, which must outlive it.
MomentsAt moments_of(const Rcpp::List& data) {
  if (data.containsElementNamed("d")) {
    const PairedTraits paired(map(Rcpp::as<Rcpp::NumericVector>(data["d"])),
                              map(Rcpp::as<Rcpp::NumericMatrix>(data["Xy"])),
                              map(Rcpp::as<Rcpp::NumericMatrix>(data["within"])),
                              Rcpp::as<double>(data["beside"]));
    return
        [paired](const Vector& psi, Order order) { return paired.moments(psi, order); };
  }
  JointData joint;
  const Rcpp::List K = data["K"];
  for (R_xlen_t t = 0; t < K.size(); ++t) {
    const Rcpp::NumericMatrix one = K[t];
    joint.K.emplace_back(one.begin(), one.nrow(), one.ncol());
  }
  const Rcpp::List rows = data["rows"];
  for (int a = 0; a < 2; ++a) joint.rows[a] = rows_of(rows[a]);
  joint.Xy = map(Rcpp::as<Rcpp::NumericMatrix>(data["Xy"]));
  joint.lift = Rcpp::as<double>(data["lift"]);
  return [joint](const Vector& psi, Order order) {
    Rcpp::checkUserInterrupt();
    return joint_moments(joint, psi, order);
  };
}

Index values_of(const Rcpp::List& data) {
  return static_cast<Index>(Rcpp::as<double>(data["values"]));
}

}  // namespace

// The criterion and its derivatives in psi; order: 0 the value, 1 the gradient, 2 the
// exact Hessian, with the expected one. S: see core/moments.h.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_bivariate_evaluate(Rcpp::List data, Rcpp::NumericVector psi, bool reml,
                                  int order) {
  return glue::guarded([&] {
    const Order wanted = glue::as_order(order);
    const Moments moments = moments_of(data)(map(psi), wanted);
    const Evaluation at = joint_criterion(moments, values_of(data), reml, wanted);
    Rcpp::List out = Rcpp::List::create(
        Rcpp::_["value"] = at.value, Rcpp::_["gradient"] = glue::wrap_vector(at.gradient),
        Rcpp::_["hessian"] = glue::wrap_matrix(at.hessian),
        Rcpp::_["S"] = glue::wrap_matrix(moments.S));
    if (order == 2 && std::isfinite(at.value))
      out["expected"] = glue::wrap_matrix(joint_expected(moments, reml));
    return out;
  });
}

// M: theta = M phi; positive: which of phi must not be negative; starts: a theta in each
// column.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_bivariate_optimise(Rcpp::List data, Rcpp::NumericMatrix M, bool reml,
                                  double tolerance, int max_iterations,
                                  Rcpp::IntegerVector positive,
                                  Rcpp::NumericMatrix starts) {
  return glue::guarded([&] {
    const bool paired = data.containsElementNamed("d");
    const JointSettings settings{reml, tolerance, max_iterations,
                                 paired ? Order::exact : Order::average,
                                 rows_of(positive)};
    const JointOptimum fit = joint_optimise(moments_of(data), values_of(data), map(M),
                                            settings, glue::columns_of(starts));
    return Rcpp::List::create(
        Rcpp::_["theta"] = glue::wrap_vector(fit.theta),
        Rcpp::_["psi"] = glue::wrap_vector(fit.psi), Rcpp::_["value"] = fit.at.value,
        Rcpp::_["gradient"] = glue::wrap_vector(fit.at.gradient),
        Rcpp::_["psi_gradient"] = glue::wrap_vector(fit.psi_gradient),
        Rcpp::_["iterations"] = fit.iterations, Rcpp::_["evaluations"] = fit.evaluations,
        Rcpp::_["starts"] = fit.starts, Rcpp::_["converged"] = fit.converged);
  });
}
