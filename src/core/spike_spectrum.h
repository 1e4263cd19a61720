// What the spectrum of the relationship matrix Z Z' / m, free of the fixed effects, tells
// of h2 in the model in which every marker has an effect.
#pragma once

#include "core/spike_slab.h"
#include "core/tridiagonal.h"

namespace kinlmm {

class SpikeSpectrum {
 public:
  // Up to kExact samples by a matrix of n x n, else by the moments of Haseman and Elston.
  SpikeSpectrum(const SpikeModel& model, Random& random);

  // Where to start: the REML estimate, at least half its standard error at 0.
  double share() const { return share_; }
  // With sigma_e2 unknown: information on h2, and how log sigma_e2 at its maximum falls
  // with logit h2, which is the mean share of h2 in the variance along the eigenvectors.
  struct Local {
    double information, fall;
  };
  Local at(double h2) const;

  static constexpr Index kExact = 5000;

 private:
  void decompose(const SpikeModel& model);
  void probe(const SpikeModel& model, Random& random);

  double df_, trace_ = 0, squares_ = 0;  // of K: trace, and that of K^2
  double share_ = 0.5;
  Tridiagonal T_;  // empty above kExact
};

}  // namespace kinlmm
