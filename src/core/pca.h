// Principal components of genotypes: the leading eigenvectors of K = Z Z' / m, and the
// loadings of the markers.
#pragma once

#include <array>
#include <vector>

#include "core/genotypes.h"
#include "core/gram.h"
#include "core/monitor.h"
#include "core/types.h"

namespace kinlmm {

// What a centred marker is divided by: its standard deviation in the sample (divisor n,
// after mean imputation), the one expected from its frequency, sqrt(2p(1-p)), or nothing.
enum class MarkerUnit { deviation, frequency, none };

struct PcaOptions {
  Index components = 10;
  MarkerUnit unit = MarkerUnit::deviation;
  MarkerFilter filter;
  bool exact = false;  // by the spectrum of K, n x n, instead of iterations
  // of iterations: residuals |K u - d u| that are small enough, relative to d, and passes
  // over the genotypes that are allowed
  double tolerance = 1e-4;
  Index passes = 30;
  Index block = 960;            // markers held at a time
  Index keep = Index(1) << 28;  // all, if they are counts and so many bytes at most
  Instructions with = Instructions::automatic;
  int threads = 1;
};

struct Pca {
  Vector values;                    // k, decreasing
  Matrix scores;                    // n x k, Z V / sqrt(m): sums of squares are `values`
  Matrix loadings;                  // m x k, V, of length one
  Vector residuals;                 // k, relative to `values`
  double trace = 0;                 // of K
  std::vector<Index> used;          // m places among the markers of the source
  std::vector<double> mean, scale;  // m, Z = (counts - mean) * scale
  std::array<Index, 5> fates{};     // markers by MarkerFate
  Index passes = 0;                 // over all genotypes
};

// The sign of a component is that of its largest score. Throws Error pca_rank (rank,
// components) if K has not as many positive eigenvalues. Random numbers have a fixed
// seed.
Pca pca(GenotypeSource& source, const PcaOptions& options, Monitor& monitor);

// Scores (n x k) of other samples: markers of the source are those of loadings (m x k),
// in the same order, and missing genotypes are the mean. Not divided by sqrt(m).
Matrix project(GenotypeSource& source, const std::vector<double>& mean,
               const std::vector<double>& scale, const ConstMatrixRef& loadings,
               Monitor& monitor);

}  // namespace kinlmm
