#include "core/spike_slab.h"

#include "geno_source.h"

using namespace kinlmm;

namespace {

// model: y, Q (n x p), restricted, expected; what the verb computes once.
SpikeModel read_model(const Rcpp::List& source, const Rcpp::List& model, int threads,
                      Monitor& monitor) {
  const auto geno = glue::open_source(source, threads);
  const Rcpp::NumericVector y = model["y"];
  const Rcpp::NumericMatrix Q = model["Q"];
  MarkerTable table =
      standardized_markers(*geno, Rcpp::as<bool>(model["expected"]), threads, monitor);
  if (table.markers.empty()) throw Error("spike_no_markers");
  return SpikeModel(std::move(table), glue::map(y), glue::map(Q),
                    Rcpp::as<bool>(model["restricted"]), threads);
}

// start: pi, sigma_g2, sigma_e2, gamma.
SpikeParameters as_parameters(const Rcpp::List& start) {
  SpikeParameters at;
  at.pi = Rcpp::as<double>(start["pi"]);
  at.sigma_g2 = Rcpp::as<double>(start["sigma_g2"]);
  at.sigma_e2 = Rcpp::as<double>(start["sigma_e2"]);
  const Rcpp::NumericVector gamma = start["gamma"];
  at.gamma = glue::map(gamma);
  return at;
}

Rcpp::List wrap_parameters(const SpikeParameters& at) {
  return Rcpp::List::create(Rcpp::_["pi"] = at.pi, Rcpp::_["sigma_g2"] = at.sigma_g2,
                            Rcpp::_["sigma_e2"] = at.sigma_e2,
                            Rcpp::_["gamma"] = glue::wrap_vector(at.gamma));
}

Matrix as_states(const Rcpp::List& model, Index m) {
  const int chains = Rcpp::as<int>(model["chains"]);
  if (Rf_isNull(model["states"])) return Matrix::Zero(m, chains);
  const Rcpp::NumericMatrix states = model["states"];
  return glue::map(states);
}

Rcpp::List wrap_common(const SpikeModel& model, const SpikeMeans& means,
                       const Matrix& states, const Matrix& draws) {
  using Rcpp::_;
  const std::vector<Index>& used = model.table_.markers;
  const double count = means.sweeps;
  return Rcpp::List::create(
      _["used"] = Rcpp::IntegerVector(used.begin(), used.end()),
      _["mean"] = glue::wrap_vector(model.table_.mean),
      _["scale"] = glue::wrap_vector(model.table_.scale),
      _["pip"] = glue::wrap_vector(means.inclusion / count),
      _["effect"] = glue::wrap_vector(means.effect / count),
      _["square"] = glue::wrap_vector(means.square / count),
      _["genetic"] = glue::wrap_vector(model.genetic(means.effect / count)),
      _["sweeps"] = count, _["states"] = glue::wrap_matrix(states),
      _["draws"] = glue::wrap_matrix(draws));
}

std::vector<SpikeIteration> as_path(const Rcpp::NumericMatrix& x) {
  std::vector<SpikeIteration> out;
  for (int t = 0; t < x.nrow(); ++t) {
    out.push_back({x(t, 0), x(t, 1), x(t, 2), x(t, 3), x(t, 4)});
  }
  return out;
}

Rcpp::NumericMatrix wrap_path(const std::vector<SpikeIteration>& path) {
  Rcpp::NumericMatrix out(static_cast<int>(path.size()), 5);
  for (int t = 0; t < out.nrow(); ++t) {
    const SpikeIteration& at = path[static_cast<std::size_t>(t)];
    const double row[] = {at.pi, at.sigma_g2, at.sigma_e2, at.sweeps, at.active_spread};
    for (int k = 0; k < 5; ++k) out(t, k) = row[k];
  }
  return out;
}

}  // namespace

// source: see core_source(); model, start: above; path (iterations x 5): of what is
// continued. See spike_em().
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_spike_em(Rcpp::List source, Rcpp::List model, Rcpp::List start,
                        Rcpp::NumericMatrix path, double sweeps, double each,
                        double draws, double tolerance, Rcpp::NumericVector seed,
                        int threads, SEXP progress) {
  return glue::guarded([&] {
    glue::RMonitor monitor(progress);
    const SpikeModel data = read_model(source, model, threads, monitor);
    SpikeOptions options;
    options.threads = threads;
    options.sweeps = static_cast<Index>(sweeps);
    options.each = static_cast<Index>(each);
    options.draws = static_cast<Index>(draws);
    options.tolerance = tolerance;
    options.seed = glue::seed_of(seed);
    const SpikeFit fit = spike_em(data, as_parameters(start), as_states(model, data.m()),
                                  as_path(path), options, monitor);
    Rcpp::List out = wrap_common(data, fit.means, fit.states, fit.draws);
    out["estimate"] = wrap_parameters(fit.estimate);
    out["path"] = wrap_path(fit.path);
    out["settled"] = static_cast<int>(fit.settled);
    out["converged"] = fit.converged;
    out["trend"] = fit.trend;
    out["error"] = Rcpp::NumericVector::create(fit.error[0], fit.error[1]);
    return out;
  });
}

// starts: a list like start for each chain; prior: see SpikePrior. See spike_gibbs().
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_spike_gibbs(Rcpp::List source, Rcpp::List model, Rcpp::List starts,
                           Rcpp::NumericVector prior, double warmup, double kept,
                           double thin, Rcpp::NumericVector seed, int threads,
                           SEXP progress) {
  return glue::guarded([&] {
    glue::RMonitor monitor(progress);
    const SpikeModel data = read_model(source, model, threads, monitor);
    std::vector<SpikeParameters> at;
    for (int c = 0; c < starts.size(); ++c) {
      at.push_back(as_parameters(starts[c]));
    }
    const SpikePrior priors{prior[0], prior[1], prior[2], prior[3], prior[4], prior[5]};
    const SpikeDraws fit =
        spike_gibbs(data, at, as_states(model, data.m()), priors,
                    static_cast<Index>(warmup), static_cast<Index>(kept),
                    static_cast<Index>(thin), threads, glue::seed_of(seed), monitor);
    Rcpp::List out = wrap_common(data, fit.means, fit.states, fit.draws);
    Rcpp::List last;
    for (const SpikeParameters& one : fit.at) last.push_back(wrap_parameters(one));
    out["at"] = last;
    return out;
  });
}
