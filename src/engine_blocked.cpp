#include "core/blocked.h"
#include "core/identify.h"
#include "core/optimise.h"
#include "core/refit.h"
#include "engine_data.h"
#include "glue.h"

using namespace kinlmm;
using glue::map;

namespace {

Rcpp::List wrap_blocked(const BlockedData& data) {
  Rcpp::IntegerVector q;
  Rcpp::List terms;
  for (const Factor& factor : data.factors) {
    q.push_back(static_cast<int>(factor.q));
    terms.push_back(Rcpp::wrap(factor.terms));
  }
  return Rcpp::List::create(
      Rcpp::_["n"] = static_cast<double>(data.n), Rcpp::_["sizes"] = data.sizes,
      Rcpp::_["q"] = q, Rcpp::_["terms"] = terms,
      Rcpp::_["A"] = glue::wrap_matrix(data.A), Rcpp::_["count"] = data.count,
      Rcpp::_["slice"] = data.slice, Rcpp::_["B"] = glue::wrap_matrix(data.B),
      Rcpp::_["start"] = data.start, Rcpp::_["column"] = data.column,
      Rcpp::_["cross"] = glue::wrap_matrix(data.cross),
      Rcpp::_["rest"] = glue::wrap_sparse(data.rest),
      Rcpp::_["rest_Xy"] = glue::wrap_matrix(data.rest_Xy),
      Rcpp::_["C"] = glue::wrap_matrix(data.C));
}

Rcpp::List wrap_effects(const std::vector<Blocked::Effects>& factors) {
  Rcpp::List out;
  for (const Blocked::Effects& effects : factors) {
    out.push_back(Rcpp::List::create(
        Rcpp::_["mode"] = glue::wrap_matrix(effects.mode),
        Rcpp::_["conditional"] = glue::wrap_matrix(effects.conditional),
        Rcpp::_["prediction"] = glue::wrap_matrix(effects.prediction)));
  }
  return out;
}

// factors: lists of level (0-based), q and Z, in the order of elimination.
std::vector<FactorRows> as_rows(const Rcpp::List& factors) {
  std::vector<FactorRows> out;
  for (R_xlen_t f = 0; f < factors.size(); ++f) {
    const Rcpp::List factor = factors[f];
    FactorRows rows;
    rows.level = Rcpp::as<std::vector<int>>(factor["level"]);
    rows.q = Rcpp::as<int>(factor["q"]);
    rows.Z = map(Rcpp::as<Rcpp::NumericMatrix>(factor["Z"]));
    out.push_back(std::move(rows));
  }
  return out;
}

}  // namespace

// The list that wrap_blocked() made.
BlockedData glue::as_blocked(const Rcpp::List& x) {
  BlockedData data;
  data.n = static_cast<Index>(Rcpp::as<double>(x["n"]));
  data.sizes = Rcpp::as<std::vector<int>>(x["sizes"]);
  const Rcpp::IntegerVector q = x["q"];
  const Rcpp::List terms = x["terms"];
  for (R_xlen_t f = 0; f < q.size(); ++f) {
    Factor factor;
    factor.q = q[f];
    factor.terms = Rcpp::as<std::vector<int>>(terms[f]);
    for (int t : factor.terms) factor.k += data.sizes[static_cast<std::size_t>(t)];
    data.factors.push_back(factor);
  }
  data.A = map(Rcpp::as<Rcpp::NumericMatrix>(x["A"]));
  data.count = Rcpp::as<std::vector<int>>(x["count"]);
  data.slice = Rcpp::as<std::vector<int>>(x["slice"]);
  data.B = map(Rcpp::as<Rcpp::NumericMatrix>(x["B"]));
  data.start = Rcpp::as<std::vector<int>>(x["start"]);
  data.column = Rcpp::as<std::vector<int>>(x["column"]);
  data.cross = map(Rcpp::as<Rcpp::NumericMatrix>(x["cross"]));
  data.rest_Xy = map(Rcpp::as<Rcpp::NumericMatrix>(x["rest_Xy"]));
  data.rest = glue::as_sparse(x["rest"], data.rest_size());
  data.C = map(Rcpp::as<Rcpp::NumericMatrix>(x["C"]));
  data.p = data.C.rows() - 1;
  return data;
}

// data: levels of equal design as one class; levels: the same level by level, NULL where
// there are several factors and nothing is merged; doubtful: see core/identify.h. sizes:
// of the terms; terms: those of each factor, 0-based.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_blocked_data(Rcpp::List factors, Rcpp::NumericMatrix Xy,
                            Rcpp::IntegerVector sizes, Rcpp::List terms) {
  return glue::guarded([&] {
    BlockedData data = blocked_data(as_rows(factors), map(Xy));
    data.sizes = Rcpp::as<std::vector<int>>(sizes);
    for (std::size_t f = 0; f < data.factors.size(); ++f) {
      data.factors[f].terms = Rcpp::as<std::vector<int>>(terms[static_cast<R_xlen_t>(f)]);
    }
    const bool merged = data.rest_size() == 0;
    Rcpp::List out = Rcpp::List::create(
        Rcpp::_["data"] = wrap_blocked(merged ? merged_levels(data) : data),
        Rcpp::_["levels"] = R_NilValue,
        Rcpp::_["doubtful"] = doubtful(component_products(data)));
    if (merged) out["levels"] = wrap_blocked(data);
    return out;
  });
}

// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_blocked_moments(Rcpp::List data, Rcpp::NumericVector theta, int order) {
  return glue::guarded([&] {
    const BlockedData blocked = glue::as_blocked(data);
    return glue::wrap_moments(
        Blocked(blocked).moments(map(theta), glue::as_order(order)));
  });
}

// start: a theta to begin with, or nothing. The moments and, where levels are not merged,
// the effects at the optimum are there already.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_blocked_optimise(Rcpp::List data, bool reml, double tolerance,
                                int max_iterations, Rcpp::NumericVector start,
                                int threads) {
  return glue::guarded([&] {
    const BlockedData blocked = glue::as_blocked(data);
    Blocked engine(blocked, threads);
    OptimiseSettings settings;
    settings.reml = reml;
    settings.tolerance = tolerance;
    settings.max_iterations = max_iterations;
    settings.order = engine.exact_is_cheap() ? Order::exact : Order::average;
    const MomentsAt moments = [&](const Vector& theta, Order order) {
      Rcpp::checkUserInterrupt();
      return engine.moments(theta, order);
    };
    std::vector<Vector> from = engine.starts();
    if (start.size() > 0) from.insert(from.begin(), map(start));
    const Optimum fit = optimise(moments, blocked.n, engine.covariance(), settings, from);
    Rcpp::List out = glue::wrap_optimum(fit);
    out["moments"] = glue::wrap_moments(engine.moments(fit.theta, Order::value));
    if (blocked.rest_size() > 0)
      out["effects"] = wrap_effects(engine.effects(fit.theta, false));
    return out;
  });
}

// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_blocked_effects(Rcpp::List data, Rcpp::NumericVector theta,
                               bool variances) {
  return glue::guarded([&] {
    const BlockedData blocked = glue::as_blocked(data);
    return wrap_effects(Blocked(blocked).effects(map(theta), variances));
  });
}

// factors: as in cpp_blocked_data(), with a level of -1 for one that the data do not
// have.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_blocked_row_variances(Rcpp::List data, Rcpp::NumericVector theta,
                                     Rcpp::List factors, Rcpp::NumericMatrix X) {
  return glue::guarded([&] {
    const BlockedData blocked = glue::as_blocked(data);
    return Rcpp::List::create(glue::wrap_vector(
        Blocked(blocked).row_variances(map(theta), as_rows(factors), map(X))));
  });
}

// The responses in the columns of Y, see core/refit.h; a row for each of them.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_blocked_refit(Rcpp::List data, Rcpp::List factors, Rcpp::NumericMatrix Q,
                             Rcpp::NumericMatrix Y, bool reml, double tolerance,
                             int max_iterations, Rcpp::NumericVector start, int threads) {
  return glue::guarded([&] {
    OptimiseSettings settings;
    settings.reml = reml;
    settings.tolerance = tolerance;
    settings.max_iterations = max_iterations;
    const std::vector<Refit> fits =
        refit_responses(glue::as_blocked(data), as_rows(factors), map(Q), map(Y),
                        settings, map(start), threads);
    const int count = static_cast<int>(fits.size()), p = Q.ncol();
    Rcpp::NumericMatrix theta(count, start.size()), beta(count, p),
        unscaled(count, p * p);
    Rcpp::NumericVector criterion(count), sigma(count), gradient(count);
    Rcpp::LogicalVector converged(count), singular(count);
    for (int b = 0; b < count; ++b) {
      const Refit& fit = fits[static_cast<std::size_t>(b)];
      for (int c = 0; c < theta.ncol(); ++c) theta(b, c) = fit.theta(c);
      for (int c = 0; c < p; ++c) beta(b, c) = fit.beta(c);
      for (int c = 0; c < p * p; ++c) unscaled(b, c) = fit.unscaled.data()[c];
      criterion[b] = fit.criterion;
      sigma[b] = fit.sigma;
      gradient[b] = fit.gradient;
      converged[b] = fit.converged;
      singular[b] = fit.singular;
    }
    return Rcpp::List::create(
        Rcpp::_["theta"] = theta, Rcpp::_["beta"] = beta, Rcpp::_["unscaled"] = unscaled,
        Rcpp::_["criterion"] = criterion, Rcpp::_["sigma"] = sigma,
        Rcpp::_["gradient"] = gradient, Rcpp::_["converged"] = converged,
        Rcpp::_["singular"] = singular);
  });
}
