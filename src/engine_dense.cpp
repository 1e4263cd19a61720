#include "core/dense.h"
#include "core/optimise.h"
#include "glue.h"

using namespace kinlmm;
using glue::map;

namespace {

// The matrices stay where R has them: `x` must outlive the result.
DenseData as_dense(const Rcpp::List& x) {
  DenseData data;
  const Rcpp::List V = x["V"];
  for (R_xlen_t c = 0; c < V.size(); ++c) {
    const Rcpp::NumericMatrix one = V[c];
    data.V.emplace_back(one.begin(), one.nrow(), one.ncol());
  }
  data.Xy = map(Rcpp::as<Rcpp::NumericMatrix>(x["Xy"]));
  data.within = map(Rcpp::as<Rcpp::NumericMatrix>(x["within"]));
  return data;
}

Rcpp::List wrap_matrices(const std::vector<Matrix>& matrices) {
  Rcpp::List out;
  for (const Matrix& one : matrices) out.push_back(glue::wrap_matrix(one));
  return out;
}

}  // namespace

// order: 0 the value, 1 first and 2 second derivatives in psi.
// [[Rcpp::export]]
Rcpp::List cpp_dense_moments(Rcpp::List data, Rcpp::NumericVector psi, int order) {
  return glue::guarded([&] {
    const Order orders[] = {Order::value, Order::gradient, Order::exact};
    const Moments m = dense_moments(as_dense(data), map(psi), orders[order]);
    return Rcpp::List::create(
        Rcpp::_["logdet"] = m.logdet, Rcpp::_["S"] = glue::wrap_matrix(m.S),
        Rcpp::_["trace"] = glue::wrap_vector(m.trace), Rcpp::_["W"] = wrap_matrices(m.W),
        Rcpp::_["traces"] = glue::wrap_matrix(m.traces),
        Rcpp::_["WW"] = wrap_matrices(m.WW));
  });
}

// sizes: effects per level of each term; starts: a theta in each column; exact: the exact
// Hessian, or the average information.
// [[Rcpp::export]]
Rcpp::List cpp_dense_optimise(Rcpp::List data, std::vector<int> sizes, bool reml,
                              double tolerance, int max_iterations, bool exact,
                              Rcpp::NumericMatrix starts) {
  return glue::guarded([&] {
    const DenseData dense = as_dense(data);
    const Covariance covariance(sizes);
    std::vector<Vector> from;
    for (Index i = 0; i < starts.ncol(); ++i) from.push_back(map(starts).col(i));
    const OptimiseSettings settings{reml, tolerance, max_iterations,
                                    exact ? Order::exact : Order::average};
    const MomentsAt moments = [&](const Vector& theta, Order order) {
      Rcpp::checkUserInterrupt();
      return dense_moments(dense, covariance.psi(theta), order);
    };
    const Index n = static_cast<Index>(Rcpp::as<double>(data["n"]));
    const Optimum fit = optimise(moments, n, covariance, settings, from);
    return Rcpp::List::create(
        Rcpp::_["theta"] = glue::wrap_vector(fit.theta),
        Rcpp::_["gradient"] = glue::wrap_vector(fit.at.gradient),
        Rcpp::_["hessian"] = glue::wrap_matrix(fit.at.hessian),
        Rcpp::_["converged"] = fit.converged, Rcpp::_["singular"] = fit.singular,
        Rcpp::_["iterations"] = fit.iterations, Rcpp::_["evaluations"] = fit.evaluations,
        Rcpp::_["starts"] = fit.starts);
  });
}
