// The posterior of variance components, the fixed effects integrated out under a flat
// prior and the random effects exactly:
//
//   p(theta, sigma2 | y) ~ sigma2^(-(n-p)/2) |H|^(-1/2) |X'H^-1 X|^(-1/2)
//                          exp(-y'Py / (2 sigma2)) p(Sigma) p(sigma2)
//
// in coordinates without bounds: for each term the logarithms of its standard deviations
// relative to sigma and the partial correlations on Fisher's scale, row by row of the
// lower triangle; in the last place the logarithm of the total standard deviation,
//   log sigma + log(1 + sum of squared ratios, each in its unit) / 2.
// Given the others that one costs no evaluation of H. The data tell it well whichever of
// the variances they take for zero, so that it does not bend with the others, as log
// sigma would.
#pragma once

#include <array>
#include <functional>
#include <vector>

#include "core/covariance.h"
#include "core/random.h"
#include "core/types.h"

namespace kinlmm {

enum class PriorKind {
  half_t,            // of each standard deviation: df (may be infinite), scale
  inverse_chisq,     // of the variance, scaled: df, scale
  inverse_wishart,   // of the covariance matrix: df, matrix
  flat_deviation,    // p(s) constant
  flat_variance,     // p(s^2) constant
  flat_log_variance  // p(log s) constant
};

struct VariancePrior {
  PriorKind kind = PriorKind::half_t;
  double df = 1;
  Vector scale;    // k: of half_t, or of the variance (inverse_chisq)
  Matrix matrix;   // k x k
  double lkj = 1;  // density of the correlation matrix is |R|^(lkj - 1)
};

// Log-determinant of H and [X y]'H^-1[X y], in any orthonormal basis of X.
struct Marginal {
  double logdet = 0;
  Matrix S;  // (p+1) x (p+1)
};
using MarginalAt = std::function<Marginal(const Vector& theta)>;

class Posterior {
 public:
  // n: records; priors: of each term, then of the residuals; unit: of each column of the
  // terms, what an effect of standard deviation one adds to the records.
  Posterior(MarginalAt at, Covariance covariance, std::vector<VariancePrior> priors,
            Vector unit, Index n);

  Index dimension() const { return covariance_.count() + 1; }
  // Log density, up to a constant; -infinity where it can't be evaluated.
  double operator()(const Vector& x);
  // Covariances of the terms, as components, and sigma2.
  Vector components(const Vector& x) const;
  // Coefficients of y on the basis, drawn given the rest.
  Vector draw_fixed(const Vector& x, Random& random);
  // Where a chain may start, spread widely: of each column a standard deviation of 1/8 to
  // 8 times that of the residuals, in its unit; deviation: of the response.
  Vector start(double deviation, Random& random) const;
  Index evaluations() const { return evaluations_; }

 private:
  Matrix correlation_factor(const Vector& x, Index t) const;  // of R = L L'
  double excess(const Vector& x) const;  // log of the total, less log sigma
  double log_sigma(const Vector& x) const { return x[x.size() - 1] - excess(x); }
  double log_prior(const Vector& x, double log_sigma) const;
  double term_prior(const Vector& x, Index t, double log_sigma) const;
  bool move_to(const Vector& x);

  MarginalAt at_;
  Covariance covariance_;
  std::vector<VariancePrior> priors_;
  Vector unit_;
  Index n_;
  Index evaluations_ = 0;

  // The last two ratios, as a chain returns from a point that it rejects; now_ is the one
  // at hand.
  struct Place {
    Vector ratios;
    Marginal marginal;
    double s = 0, logdets = 0;
    bool defined = false;
  };
  std::array<Place, 2> places_;
  std::size_t now_ = 0;
};

}  // namespace kinlmm
