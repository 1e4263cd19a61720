#include "core/optimise.h"
#include "core/sparse_mme.h"
#include "engine_data.h"
#include "glue.h"

using namespace kinlmm;
using glue::map;

namespace {

SparseData as_sparse_data(const Rcpp::List& x) {
  SparseData data;
  data.n = static_cast<Index>(Rcpp::as<double>(x["n"]));
  data.first = Rcpp::as<std::vector<int>>(x["first"]);
  data.Q = glue::as_sparse(x["Q"], data.first.back());
  data.logdet_Q = Rcpp::as<double>(x["logdet"]);
  data.N = glue::as_sparse(x["N"], data.first.back());
  data.contrasts = Rcpp::as<bool>(x["contrasts"]);
  const Rcpp::NumericMatrix B = x["B"], S = x["S"];
  const Index width = S.nrow() - (data.contrasts ? 0 : 1);
  data.B = map(B).leftCols(width);
  data.S = map(S).topLeftCorner(width, width);
  data.position = Rcpp::as<std::vector<int>>(x["position"]);
  return data;
}

}  // namespace

// first: where the effects of each term begin, and the number of all; effect: 0-based
// places among these, a vector of n for each term; Z: n x terms.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_sparse_records(Rcpp::IntegerVector first, Rcpp::List effect,
                              Rcpp::NumericMatrix Z, Rcpp::NumericMatrix Xy) {
  return glue::guarded([&] {
    SparseData data;
    data.first = Rcpp::as<std::vector<int>>(first);
    std::vector<SparseTerm> terms;
    for (R_xlen_t t = 0; t < effect.size(); ++t)
      terms.push_back(SparseTerm{Rcpp::as<std::vector<int>>(effect[t]), map(Z).col(t)});
    add_records(terms, map(Xy), data);
    return Rcpp::List::create(Rcpp::_["N"] = glue::wrap_sparse(data.N),
                              Rcpp::_["B"] = glue::wrap_matrix(data.B));
  });
}

// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_sparse_position(Rcpp::List data) {
  return glue::guarded([&] {
    const SparseData sparse = as_sparse_data(data);
    return Rcpp::List::create(Rcpp::wrap(SparseEquations(sparse).position()));
  });
}

// With the average information for an order of -1.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_sparse_moments(Rcpp::List data, Rcpp::NumericVector theta, int order) {
  return glue::guarded([&] {
    const SparseData sparse = as_sparse_data(data);
    SparseEquations equations(sparse);
    const Moments& at =
        equations.moments(map(theta), order < 0 ? Order::average : glue::as_order(order));
    Rcpp::List out = glue::wrap_moments(at);
    if (order < 0) out["average"] = glue::wrap_matrix(at.average);
    return out;
  });
}

// starts: a theta in each column.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_sparse_optimise(Rcpp::List data, bool reml, double tolerance,
                               int max_iterations, Rcpp::NumericMatrix starts) {
  return glue::guarded([&] {
    const SparseData sparse = as_sparse_data(data);
    SparseEquations equations(sparse);
    const OptimiseSettings settings{reml, tolerance, max_iterations, Order::average};
    const MomentsAt moments = [&](const Vector& theta, Order order) {
      Rcpp::checkUserInterrupt();
      return equations.moments(theta, order);
    };
    const Optimum fit = optimise(moments, sparse.n, equations.covariance(), settings,
                                 glue::columns_of(starts));
    Rcpp::List out = glue::wrap_optimum(fit);
    out["moments"] = glue::wrap_moments(equations.moments(fit.theta, Order::value));
    out["effects"] = glue::wrap_vector(equations.effects(fit.theta, false).mode);
    return out;
  });
}

// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_sparse_effects(Rcpp::List data, Rcpp::NumericVector theta,
                              bool variances) {
  return glue::guarded([&] {
    const SparseData sparse = as_sparse_data(data);
    const SparseEquations::Effects at =
        SparseEquations(sparse).effects(map(theta), variances);
    return Rcpp::List::create(Rcpp::_["mode"] = glue::wrap_vector(at.mode),
                              Rcpp::_["conditional"] = glue::wrap_vector(at.conditional),
                              Rcpp::_["prediction"] = glue::wrap_vector(at.prediction));
  });
}

// effect: rows x terms, places as in cpp_sparse_records() or -1; Z: the same.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_sparse_row_variances(Rcpp::List data, Rcpp::NumericVector theta,
                                    Rcpp::NumericMatrix X, Rcpp::IntegerMatrix effect,
                                    Rcpp::NumericMatrix Z) {
  return glue::guarded([&] {
    const SparseData sparse = as_sparse_data(data);
    const Eigen::MatrixXi places =
        Eigen::Map<const Eigen::MatrixXi>(effect.begin(), effect.nrow(), effect.ncol());
    return Rcpp::List::create(glue::wrap_vector(
        SparseEquations(sparse).row_variances(map(theta), map(X), places, map(Z))));
  });
}
