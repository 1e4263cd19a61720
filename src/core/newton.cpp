#include "core/newton.h"

#include <Eigen/Cholesky>
#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <limits>

namespace kinlmm {

namespace {

// Newton on the derivative inside [lo, hi], where it is negative at lo and positive at
// hi.
Point refine(const std::function<Point(double)>& f, Point lo, Point hi, int& evaluations,
             int& iterations) {
  Point best = lo.value < hi.value ? lo : hi;
  Point current = std::abs(lo.first) < std::abs(hi.first) ? lo : hi;
  for (iterations = 0; iterations < 200; ++iterations) {
    const double width = hi.x - lo.x;
    double next = current.second > 0 ? current.x - current.first / current.second : -1;
    if (!(next > lo.x && next < hi.x)) {
      // the geometric mean where the bracket spans orders of magnitude
      next = lo.x > 0 && hi.x > 4 * lo.x ? std::sqrt(lo.x * hi.x) : lo.x + 0.5 * width;
    }
    if (next <= lo.x || next >= hi.x) break;
    const double moved = std::abs(next - current.x);
    current = f(next);
    ++evaluations;
    (current.first < 0 ? lo : hi) = current;
    if (std::abs(current.first) <= std::abs(best.first) || current.value < best.value) {
      best = current;
    }
    if (current.first == 0 || moved <= 4e-16 * std::abs(current.x)) break;
  }
  return best;
}

}  // namespace

IntervalMinimum minimise_on_interval(const std::function<Point(double)>& f,
                                     const std::vector<double>& grid) {
  IntervalMinimum result;
  std::vector<Point> points;
  points.push_back(f(0));
  for (double x : grid) points.push_back(f(x));
  result.evaluations = static_cast<int>(points.size());

  bool found = false;
  auto consider = [&](const Point& candidate, int bound, int iterations) {
    ++result.minima;
    if (found && !(candidate.value < result.at.value)) return;
    found = true;
    result.at = candidate;
    result.bound = bound;
    result.iterations = iterations;
  };
  if (points.front().first >= 0) consider(points.front(), -1, 0);
  for (std::size_t i = 1; i < points.size(); ++i) {
    if (points[i - 1].first < 0 && points[i].first >= 0) {
      int iterations = 0;
      const Point inside =
          refine(f, points[i - 1], points[i], result.evaluations, iterations);
      consider(inside, 0, iterations);
    }
  }
  if (points.back().first < 0) consider(points.back(), 1, 0);
  return result;
}

namespace {

// Minimises g'p + p'Hp/2 over |p| <= radius, H = V diag(h) V'.
Vector trust_region_step(const Vector& g, const Vector& h, const Matrix& V,
                         double radius) {
  const Vector slope = V.transpose() * g;
  const double lowest = h.minCoeff();
  auto step = [&](double mu) {
    return Vector(-slope.cwiseQuotient((h.array() + mu).matrix()));
  };
  if (lowest > 0) {
    const Vector newton = step(0);
    if (newton.norm() <= radius) return V * newton;
  }
  // the norm of the step falls with mu; bracket and bisect on a log scale
  const double base = std::max(0.0, -lowest);
  const double tiny = 1e-14 * std::max(1.0, h.cwiseAbs().maxCoeff());
  double lo = tiny, hi = tiny + slope.norm() / radius + tiny;
  const Vector nearest = step(base + lo);
  if (nearest.norm() < radius) {
    // the slope has no part along the most negative curvature: add it (the hard case)
    Index at = 0;
    h.minCoeff(&at);
    Vector p = nearest;
    p(at) += std::sqrt(std::max(0.0, radius * radius - nearest.squaredNorm())) *
             (p(at) < 0 ? -1.0 : 1.0);
    return V * p;
  }
  for (int i = 0; i < 100 && hi > lo * (1 + 1e-6); ++i) {
    const double mid = std::sqrt(lo * hi);
    (step(base + mid).norm() > radius ? lo : hi) = mid;
  }
  return V * step(base + hi);
}

struct ModelStep {
  Vector p;
  bool curved_down;
};

// The step of the trust-region problem. Where the Hessian is clearly positive and
// Newton's step within the radius, a Cholesky decomposition finds it for less than the
// eigenvalues.
ModelStep model_step(const Vector& g, const Matrix& hessian, double radius) {
  const Eigen::LLT<Matrix> llt(hessian);
  if (llt.info() == Eigen::Success) {
    const double least = llt.matrixLLT().diagonal().minCoeff();
    if (least * least > 1e-10 * hessian.diagonal().maxCoeff()) {
      ModelStep out{-llt.solve(g), false};
      if (out.p.norm() <= radius) return out;
    }
  }
  const Eigen::SelfAdjointEigenSolver<Matrix> eigen(hessian);
  const Vector& h = eigen.eigenvalues();
  return {trust_region_step(g, h, eigen.eigenvectors(), radius),
          h.minCoeff() < -1e-8 * std::max(1.0, h.cwiseAbs().maxCoeff())};
}

// Symmetric rank-one update, so that the average of the two Hessians and the correction
// explain the change of the gradient along p.
void update_correction(const Evaluation& from, const Evaluation& to, const Vector& p,
                       Matrix& correction) {
  const Vector explained = 0.5 * (from.hessian + to.hessian) * p + correction * p;
  const Vector u = to.gradient - from.gradient - explained;
  const double along = u.dot(p);
  if (std::abs(along) > 1e-6 * u.norm() * p.norm())
    correction += u * u.transpose() / along;
}

}  // namespace

NewtonResult minimise_newton(const std::function<Evaluation(const Vector&)>& f,
                             const Vector& start, double tolerance, int max_iterations,
                             bool approximate) {
  NewtonResult result;
  Matrix correction = Matrix::Zero(start.size(), start.size());
  result.x = start;
  result.at = f(start);
  result.evaluations = 1;
  // no derivatives there: zero gradients would look like an optimum
  if (!std::isfinite(result.at.value)) return result;
  double radius = 1.0;
  bool plain = false;  // without corrections since the last step that was taken
  for (; result.iterations < max_iterations; ++result.iterations) {
    const Matrix hessian = result.at.hessian + correction;
    const ModelStep step = model_step(result.at.gradient, hessian, radius);
    const double size = result.at.gradient.cwiseAbs().maxCoeff();
    if (size < tolerance && !step.curved_down) {
      result.converged = true;
      break;
    }
    const Vector& p = step.p;
    const double predicted = -(result.at.gradient.dot(p) + 0.5 * p.dot(hessian * p));
    const Evaluation next = f(result.x + p);
    ++result.evaluations;
    const double gained = result.at.value - next.value;
    // below the rounding of the value only the gradient can tell progress
    const double rounding = 1e-12 * (1 + std::abs(result.at.value));
    bool accept;
    if (predicted < rounding) {
      accept = std::isfinite(next.value) && gained > -rounding &&
               next.gradient.cwiseAbs().maxCoeff() < 0.5 * size;
      // in a curved valley a shorter step along it may still take the slopes down, and
      // corrections from far away may mislead
      if (!accept) radius = 0.25 * std::min(radius, p.norm());
      if (!accept && approximate && !plain) {
        plain = true;
        radius = 1.0;
        correction.setZero();
        continue;
      }
      if (radius < 1e-9) {
        result.converged = size < 1e3 * tolerance;
        break;
      }
    } else {
      const double ratio = std::isfinite(gained) ? gained / predicted : -1;
      accept = ratio > 1e-4;
      if (ratio < 0.25) {
        radius = 0.25 * std::min(radius, p.norm());
      } else if (ratio > 0.75 && p.norm() > 0.99 * radius) {
        radius *= 3;
      }
      if (radius < 1e-12) break;
    }
    if (accept) plain = false;
    if (approximate && std::isfinite(next.value)) {
      update_correction(result.at, next, p, correction);
    }
    if (accept) {
      result.x += p;
      result.at = next;
    }
  }
  return result;
}

}  // namespace kinlmm
