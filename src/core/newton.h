// Minimisers with exact first and second derivatives.
#pragma once

#include <functional>
#include <vector>

#include "core/types.h"

namespace kinlmm {

// Value and derivatives of a function of one variable.
struct Point {
  double x = 0;
  double value = 0;
  double first = 0;
  double second = 0;
};

// All of [0, upper] for a function that may have several minima: the function is
// evaluated at 0, at the increasing `grid` (positive) and at its last element, the upper
// bound; every minimum that a change of sign of the derivative brackets is refined by
// Newton steps kept inside the bracket, and the best of them and of the two bounds is
// returned. A bound is a minimum when the derivative says so, not because a search ended
// near it.
struct IntervalMinimum {
  Point at;
  int evaluations = 0;
  int iterations = 0;  // Newton steps of the best bracket
  int minima = 0;      // local minima seen, bounds included
  int bound = 0;       // -1 at zero, +1 at the upper bound, 0 inside
};
IntervalMinimum minimise_on_interval(const std::function<Point(double)>& f,
                                     const std::vector<double>& grid);

// Value, gradient and Hessian of a function of several variables.
struct Evaluation {
  double value = 0;
  Vector gradient;
  Matrix hessian;
  Vector carried;  // of the caller's, kept with the point
};

struct NewtonResult {
  Vector x;
  Evaluation at;
  int iterations = 0;
  int evaluations = 0;
  bool converged = false;
};

// Trust-region Newton. The step solves the trust-region problem exactly from the eigen-
// decomposition of the Hessian, so that it leaves saddle points along their directions of
// negative curvature. Stops at max|gradient| < tolerance with no negative curvature, or
// where neither the value nor the gradient can be improved in double precision.
// An approximate Hessian is corrected by what the steps so far tell of it (symmetric
// rank-one updates of the difference).
NewtonResult minimise_newton(const std::function<Evaluation(const Vector&)>& f,
                             const Vector& start, double tolerance, int max_iterations,
                             bool approximate = false);

}  // namespace kinlmm
