// Chebyshev interpolation on [-1, 1] of functions known at a few nodes.
#pragma once

#include "core/types.h"

namespace kinlmm {

// Where a function is smallest on [-1, 1], and its value there.
struct ChebyshevMinimum {
  double x = 0;
  double value = 0;
};

// The L roots of the Chebyshev polynomial T_L, increasing, and what follows from them.
// A function analytic within the Bernstein ellipse of parameter rho is interpolated with
// an error of the order rho^-L. No member function below allocates.
class Chebyshev {
 public:
  static constexpr Index kMaxNodes = 64;

  // 2 <= size <= kMaxNodes; otherwise throws Error("chebyshev_size").
  explicit Chebyshev(Index size);

  Index size() const { return nodes_.size(); }
  const Vector& nodes() const { return nodes_; }

  // Coefficients c of sum_k c_k T_k(x), from the values at the nodes (arrays of size()).
  void coefficients(const double* values, double* c) const;

  // Coefficients of the derivative, from those of the function; may not overlap.
  void differentiate(const double* c, double* derivative) const;

  // sum_k c_k T_k(x).
  double value(const double* c, double x) const;

  // Lagrange weights: the interpolant at x is sum_l weights_l values_l.
  void weights(double x, double* weights) const;

  // Minimum of the interpolant on [-1, 1] within the gap around the smallest of the
  // values: safeguarded Newton on its derivative.
  ChebyshevMinimum minimise(const double* values) const;

 private:
  Vector nodes_;        // L
  Matrix to_c_;         // L x L, values to coefficients
  Vector barycentric_;  // L
};

}  // namespace kinlmm
