// The same model for many responses: design and cross-products of Z and X are shared.
#pragma once

#include <vector>

#include "core/blocked.h"
#include "core/optimise.h"

namespace kinlmm {

struct Refit {
  Vector theta;
  Vector beta;      // p, in the basis Q
  Matrix unscaled;  // p x p, its covariance without sigma2
  double criterion = 0;
  double sigma = 0;
  double gradient = 0;  // the largest, in theta
  bool converged = false;
  bool singular = false;
};

// levels: the cross-products of [Z Q r] for some response, levels not merged (see
// blocked_data()); rows: what they were made of; Q: n x p, orthonormal; Y: n x any,
// weights multiplied in, as in all of it. The search begins at `start`; at others too
// where that ends on a boundary or not at all.
// One thread works at a response where there is a single factor.
std::vector<Refit> refit_responses(const BlockedData& levels,
                                   const std::vector<FactorRows>& rows,
                                   const ConstMatrixRef& Q, const ConstMatrixRef& Y,
                                   const OptimiseSettings& settings, const Vector& start,
                                   int threads);

}  // namespace kinlmm
