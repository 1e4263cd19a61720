#include "core/dense.h"
#include "core/optimise.h"
#include "engine_data.h"
#include "glue.h"

using namespace kinlmm;
using glue::map;

DenseData glue::as_dense(const Rcpp::List& x) {
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

// sizes: effects per level of each term.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_dense_moments(Rcpp::List data, std::vector<int> sizes,
                             Rcpp::NumericVector theta, int order) {
  return glue::guarded([&] {
    const Vector psi = Covariance(sizes).psi(map(theta));
    return glue::wrap_moments(
        dense_moments(glue::as_dense(data), psi, glue::as_order(order)));
  });
}

// starts: a theta in each column; exact: by the exact Hessian, or the average
// information.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_dense_optimise(Rcpp::List data, std::vector<int> sizes, bool reml,
                              double tolerance, int max_iterations, bool exact,
                              Rcpp::NumericMatrix starts) {
  return glue::guarded([&] {
    const DenseData dense = glue::as_dense(data);
    const Covariance covariance(sizes);
    const OptimiseSettings settings{reml, tolerance, max_iterations,
                                    exact ? Order::exact : Order::average};
    const MomentsAt moments = [&](const Vector& theta, Order order) {
      Rcpp::checkUserInterrupt();
      return dense_moments(dense, covariance.psi(theta), order);
    };
    const Index n = static_cast<Index>(Rcpp::as<double>(data["n"]));
    return glue::wrap_optimum(
        optimise(moments, n, covariance, settings, glue::columns_of(starts)));
  });
}
