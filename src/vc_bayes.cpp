#include <algorithm>
#include <memory>

#include "core/blocked.h"
#include "core/posterior.h"
#include "core/slice.h"
#include "engine_data.h"
#include "glue.h"

using namespace kinlmm;
using glue::map;

namespace {

// The data of one engine, which evaluations of several chains share. `threads`: at most
// so many chains at a time, one where BLAS is called or R asked for interrupts.
struct Target {
  RotatedData rotated;
  BlockedData blocked;
  DenseData dense;
  std::vector<Matrix> units;  // the engine takes units[t] T_t
  Covariance covariance;
  std::string engine;
  Index n = 0;
  int threads = 1;

  Target(const Rcpp::List& x, const std::vector<int>& sizes, int asked)
      : covariance(sizes), engine(Rcpp::as<std::string>(x["name"])) {
    const Rcpp::List data = x["data"];
    n = static_cast<Index>(Rcpp::as<double>(data["n"]));
    if (engine == "dense") {
      dense = glue::as_dense(data);
    } else if (engine == "blocked") {
      blocked = glue::as_blocked(data);
    } else {
      rotated = glue::as_rotated(data, false);
    }
    if (x.containsElementNamed("units")) {
      const Rcpp::List all = x["units"];
      for (R_xlen_t t = 0; t < all.size(); ++t) {
        units.push_back(map(Rcpp::as<Rcpp::NumericMatrix>(all[t])));
      }
    }
    const bool blas = engine == "dense" || blocked.rest_size() > 0;
    threads = blas ? 1 : asked;
  }

  Vector in_units(const Vector& theta) const {
    Vector out = theta;
    for (std::size_t t = 0; t < units.size(); ++t) {
      const Index at = static_cast<Index>(t);
      covariance.pack(units[t] * covariance.lower(theta, at), at, out);
    }
    return out;
  }

  // Of one chain.
  MarginalAt marginal() const {
    if (engine == "dense") {
      return [this](const Vector& theta) {
        Rcpp::checkUserInterrupt();
        const Vector psi = covariance.psi(in_units(theta));
        const Moments at = dense_moments(dense, psi, Order::value);
        return Marginal{at.logdet, at.S};
      };
    }
    if (engine == "blocked") {
      const auto own = std::make_shared<Blocked>(blocked);
      const bool ask = threads == 1;
      return [this, own, ask](const Vector& theta) {
        if (ask) Rcpp::checkUserInterrupt();
        const Moments& at = own->moments(in_units(theta), Order::value);
        return Marginal{at.logdet, at.S};
      };
    }
    return [this](const Vector& theta) {
      RatioValue at = rotated_value(rotated, theta[0] * theta[0]);
      return Marginal{at.logdet, std::move(at.S)};
    };
  }
};

VariancePrior as_prior(const Rcpp::List& x) {
  const std::vector<std::string> kinds = {"half_t",          "inverse_chisq",
                                          "inverse_wishart", "flat_deviation",
                                          "flat_variance",   "flat_log_variance"};
  VariancePrior out;
  const auto kind =
      std::find(kinds.begin(), kinds.end(), Rcpp::as<std::string>(x["kind"]));
  out.kind = static_cast<PriorKind>(kind - kinds.begin());
  out.df = Rcpp::as<double>(x["df"]);
  out.scale = map(Rcpp::as<Rcpp::NumericVector>(x["scale"]));
  out.matrix = map(Rcpp::as<Rcpp::NumericMatrix>(x["matrix"]));
  out.lkj = Rcpp::as<double>(x["lkj"]);
  return out;
}

SliceChain start_chain(Posterior& posterior, double deviation, Random random) {
  Vector x = posterior.start(deviation, random);
  for (int tries = 0; tries < 100 && !std::isfinite(posterior(x)); ++tries) {
    x = posterior.start(deviation, random);
  }
  return SliceChain([&](const Vector& at) { return posterior(at); }, x, random);
}

}  // namespace

// engine: name, data, and units where it has them; sizes: effects per level of each term;
// priors: of the terms, then of the residuals; unit, deviation: see Posterior.
// dear: see SliceSettings. A row per draw, chain after chain: components, sigma2,
// coefficients on the basis.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_vc_bayes(Rcpp::List engine, std::vector<int> sizes, Rcpp::List priors,
                        Rcpp::NumericVector unit, double deviation, int chains,
                        int warmup, int iterations, int thin, bool dear, int threads,
                        Rcpp::NumericVector seed, SEXP callback) {
  return glue::guarded([&] {
    const Target target(engine, sizes, threads);
    std::vector<VariancePrior> own;
    for (R_xlen_t t = 0; t < priors.size(); ++t) own.push_back(as_prior(priors[t]));
    std::vector<std::unique_ptr<Posterior>> posteriors;
    std::vector<SliceChain> all;
    for (int c = 0; c < chains; ++c) {
      posteriors.push_back(std::make_unique<Posterior>(
          target.marginal(), target.covariance, own, map(unit), target.n));
      all.push_back(
          start_chain(*posteriors.back(), deviation,
                      Random(glue::seed_of(seed), static_cast<std::uint64_t>(c))));
    }
    Matrix draws(static_cast<Index>(chains) * iterations,
                 target.covariance.count() + 1 + Rcpp::as<int>(engine["p"]));
    glue::RMonitor monitor(callback);
    run_chains(
        all, {warmup, iterations, thin, dear},
        [&](Index c, Index draw) {
          Posterior& posterior = *posteriors[static_cast<std::size_t>(c)];
          SliceChain& chain = all[static_cast<std::size_t>(c)];
          const Vector components = posterior.components(chain.at());
          const Vector fixed = posterior.draw_fixed(chain.at(), chain.random());
          const Index row = c * iterations + draw;
          draws.row(row).head(components.size()) = components.transpose();
          draws.row(row).tail(fixed.size()) = fixed.transpose();
        },
        target.threads, monitor);
    double evaluations = 0;
    for (const auto& one : posteriors)
      evaluations += static_cast<double>(one->evaluations());
    return Rcpp::List::create(Rcpp::_["draws"] = glue::wrap_matrix(draws),
                              Rcpp::_["evaluations"] = evaluations);
  });
}
