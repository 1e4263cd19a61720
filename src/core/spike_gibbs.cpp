#include <algorithm>
#include <cmath>

#include "core/parallel.h"
#include "core/spike_slab.h"

namespace kinlmm {

namespace {

constexpr Index kBlock = 5;    // sweeps between ticks
constexpr Index kRefresh = 5;  // blocks between refreshed residuals

// One draw from a density on the line by slice sampling (Neal 2003), stepping out.
template <class F>
double slice(F&& log_density, double x, double width, Random& random) {
  constexpr int kMost = 50;
  const double level = log_density(x) - random.exponential();
  double low = x - width * random.uniform(), high = low + width;
  for (int i = 0; i < kMost && log_density(low) > level; ++i) low -= width;
  for (int i = 0; i < kMost && log_density(high) > level; ++i) high += width;
  for (;;) {
    const double to = low + (high - low) * random.uniform();
    if (log_density(to) > level) return to;
    (to < x ? low : high) = to;
    if (!(high - low > 1e-12)) return x;
  }
}

// The parameters given the effects; then a common factor of the effects and of their
// standard deviation, with which the chain moves along what it would else creep.
void update(const SpikeModel& model, const SpikePrior& prior, SpikeChain& chain,
            SpikeProducts g, SpikeParameters& at) {
  Random& random = chain.random();
  const double m = static_cast<double>(model.m());
  const double k = chain.active(), squares = chain.squares();
  const double rss = model.yy() - 2 * g.gy + g.gg;
  at.sigma_e2 = (prior.df_e * prior.scale_e + std::max(rss, 0.0)) /
                random.chi_square(prior.df_e + model.contrasts());
  at.sigma_g2 = (prior.df_g * prior.scale_g + squares * m * at.pi) /
                random.chi_square(prior.df_g + k);
  const double rate = 0.5 * squares * m / at.sigma_g2;
  const auto of_pi = [&](double x) {  // x = logit pi
    const double log_in = -std::log1p(std::exp(-x)), log_out = -std::log1p(std::exp(x));
    return (1.5 * k + prior.a) * log_in + (m - k + prior.b) * log_out -
           rate * std::exp(log_in);
  };
  const double x = slice(of_pi, std::log(at.pi) - std::log1p(-at.pi), 1, random);
  // at the ends of the scale 1 - pi would be 0
  at.pi = std::min(1 - 1e-12, std::max(1e-12, 1 / (1 + std::exp(-x))));
  const double pull = 0.5 * prior.df_g * prior.scale_g / at.sigma_g2;
  const auto of_factor = [&](double log_factor) {
    const double factor = std::exp(log_factor);
    return -0.5 * factor * (factor * g.gg - 2 * g.gy) / at.sigma_e2 -
           prior.df_g * log_factor - pull / (factor * factor);
  };
  const double factor = std::exp(slice(of_factor, 0, 0.2, random));
  at.sigma_g2 *= factor * factor;
  chain.rescale(factor);
}

}  // namespace

SpikeDraws spike_gibbs(const SpikeModel& model,
                       const std::vector<SpikeParameters>& starts, const Matrix& states,
                       const SpikePrior& prior, Index warmup, Index kept, Index thin,
                       int threads, std::uint64_t seed, Monitor& monitor) {
  const Index size = states.cols(), m = model.m(), p = model.p();
  std::vector<SpikeChain> chains;
  for (Index c = 0; c < size; ++c) {
    chains.emplace_back(model, states.col(c),
                        Random(seed, static_cast<std::uint64_t>(c)));
  }
  SpikeDraws out;
  out.at = starts;
  out.draws.resize(kept * size, 6 + p);
  std::vector<SpikeMeans> means(chains.size(),
                                {Vector::Zero(m), Vector::Zero(m), Vector::Zero(m), 0});
  const Index total = warmup + kept * thin;
  for (Index from = 0; from < total; from += kBlock) {
    parallel_for(size, threads, [&](Index c) {
      SpikeChain& chain = chains[static_cast<std::size_t>(c)];
      SpikeParameters& at = out.at[static_cast<std::size_t>(c)];
      if (from % (kBlock * kRefresh) == 0) chain.refresh();
      for (Index i = from; i < std::min(from + kBlock, total); ++i) {
        const Index after = i - warmup;
        SpikeSums sums;
        chain.sweep(at, sums, after >= 0 ? &means[static_cast<std::size_t>(c)] : nullptr);
        const SpikeProducts g = spike_products(model, sums);
        update(model, prior, chain, g, at);
        if (after < 0 || (after + 1) % thin != 0) continue;
        auto row = out.draws.row(c * kept + after / thin);
        row.head(6) << static_cast<double>(c + 1), at.pi, at.sigma_g2, at.sigma_e2,
            chain.active(), g.gg;
        for (Index k = 0; k < p; ++k) {
          row[6 + k] = sums.Qr[k] + std::sqrt(at.sigma_e2) * chain.random().normal();
        }
      }
    });
    monitor.tick(std::min(from + kBlock, total), total);
  }
  out.means = means[0];
  for (std::size_t c = 1; c < means.size(); ++c) {
    out.means.inclusion += means[c].inclusion;
    out.means.effect += means[c].effect;
    out.means.square += means[c].square;
    out.means.sweeps += means[c].sweeps;
  }
  out.states.resize(m, size);
  for (Index c = 0; c < size; ++c) {
    out.states.col(c) = chains[static_cast<std::size_t>(c)].b();
  }
  return out;
}

}  // namespace kinlmm
