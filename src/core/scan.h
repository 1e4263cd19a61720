// Single-marker tests against a fitted one-kernel null model, each marker at its own
// optimum of the variance ratio lambda. The criteria (scan_profile.h) are analytic in log
// lambda where |Im| < pi, and in lambda around 0; they are computed at Chebyshev nodes,
// for a block of markers at once by matrix products, and optimised on the interpolant:
// first on the panels around the null's optima, and for a marker that shows any sign of a
// better optimum elsewhere on the whole range.
#pragma once

#include <vector>

#include "core/genotypes.h"
#include "core/monitor.h"
#include "core/scan_profile.h"
#include "core/types.h"

namespace kinlmm {

struct ScanOptions {
  bool per_marker = true;              // false: lambda stays at the null's optima
  MarkerFilter filter{0.01, 0.05, 0};  // of the markers that are tested
  int threads = 1;
  Index nodes = 16;       // per panel
  double half_width = 1;  // of a panel, in log lambda
};

// Why a marker has no test. The order is known to R/gwas-scan.R.
enum class ScanStatus {
  kTested,
  kMissing,
  kMonomorphic,
  kMaf,
  kHwe,
  kNoGenotypes,
  kCollinear
};

// One entry per marker; NaN where status is not kTested (frequency: where no genotype is
// observed).
struct ScanResult {
  std::vector<int> status;    // ScanStatus
  std::vector<int> observed;  // samples with a genotype
  std::vector<double> frequency;
  std::vector<double> beta, se;  // at lambda
  std::vector<double> lambda, lambda_ml;
  std::vector<double> wald;   // F, 1 and n - p - 1 degrees of freedom
  std::vector<double> lrt;    // chi squared, 1 degree of freedom
  std::vector<double> score;  // F, 1 and n - p - 1 degrees of freedom

  Index widened = 0;  // markers that needed the whole range of lambda
  // Seconds: reading and imputing, U'G, sums at the nodes, optima and tests.
  double read_seconds = 0, rotate_seconds = 0, sums_seconds = 0, optima_seconds = 0;
};

// Tests every marker of source, whose samples are the ids of the null model in their
// order. A marker's result does not depend on the other markers nor on the threads.
// monitor ticks once a block. Throws Error "scan_samples" if the numbers of samples
// differ (expected, got), "scan_rank" if X'H^-1X is singular, "scan_df" if n - p - 1 < 1.
ScanResult scan(const NullModel& null, GenotypeSource& source, const ScanOptions& options,
                Monitor& monitor);

}  // namespace kinlmm
