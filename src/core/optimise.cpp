#include "core/optimise.h"

#include <Eigen/Cholesky>
#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>

namespace kinlmm {

namespace {

struct Problem {
  const MomentsAt& moments;
  Index n;
  const Covariance& covariance;
  const OptimiseSettings& settings;

  // In theta; the gradient in psi is carried along.
  Evaluation at(const Vector& theta) const {
    const Order order = settings.order;
    const Evaluation psi =
        profiled_criterion(moments(theta, order), n, settings.reml, order);
    Evaluation out;
    out.value = psi.value;
    out.gradient = covariance.gradient(theta, psi.gradient);
    out.hessian = covariance.hessian(theta, psi.gradient, psi.hessian);
    out.carried = psi.gradient;
    return out;
  }

  NewtonResult search(const Vector& start) const {
    return minimise_newton([this](const Vector& theta) { return at(theta); }, start,
                           settings.tolerance, settings.max_iterations,
                           settings.order != Order::exact);
  }
};

// T_t with a diagonal that is not negative; a Psi_t that is rank deficient is factored
// again, so that the columns of T_t that belong to what is lost are exactly zero.
struct Canonical {
  Vector theta;
  bool singular = false;
  bool moved = false;  // in more than the signs of columns
};
Canonical canonical_theta(const Covariance& covariance, const Vector& theta,
                          double negligible) {
  Canonical out;
  out.theta = theta;
  for (Index t = 0; t < covariance.terms(); ++t) {
    const Matrix T = covariance.lower(theta, t);
    const Matrix psi = T * T.transpose();
    const Index k = covariance.size(t);
    Matrix factor = Matrix::Zero(k, k);
    bool full = true;
    for (Index c = 0; c < k; ++c) {
      // that of T itself has no rounding, as long as nothing was left out
      const double pivot =
          full ? T(c, c) * T(c, c) : psi(c, c) - factor.row(c).head(c).squaredNorm();
      if (pivot <= negligible * negligible + (full ? 0 : 1e-15 * psi(c, c))) {
        full = false;
        continue;
      }
      factor(c, c) = std::sqrt(pivot);
      for (Index r = c + 1; r < k; ++r) {
        factor(r, c) =
            (psi(r, c) - factor.row(r).head(c).dot(factor.row(c).head(c))) / factor(c, c);
      }
    }
    if (full) {
      for (Index c = 0; c < k; ++c) factor.col(c) = T.col(c) * (T(c, c) < 0 ? -1 : 1);
    } else {
      out.singular = out.moved = true;
    }
    covariance.pack(factor, t, out.theta);
  }
  return out;
}

// Negative slope of the criterion out of the null space of some Psi_t: the KKT condition
// of Psi_t >= 0. Returns true, and a theta that leaves, when it is violated.
bool leaves_boundary(const Covariance& covariance, const Vector& psi_gradient,
                     const Vector& theta, Vector& escaped) {
  bool leaves = false;
  escaped = theta;
  for (Index t = 0; t < covariance.terms(); ++t) {
    const Index k = covariance.size(t);
    const Matrix T = covariance.lower(theta, t);
    const Matrix psi = T * T.transpose();
    const Eigen::SelfAdjointEigenSolver<Matrix> eigen(psi);
    const double zero = 1e-10 * std::max(1.0, eigen.eigenvalues().maxCoeff());
    Index nullity = 0;
    while (nullity < k && eigen.eigenvalues()(nullity) <= zero) ++nullity;
    if (nullity == 0) continue;
    // d criterion = <G, dPsi>: a component off the diagonal moves two elements
    Matrix G = 0.5 * covariance.symmetric(psi_gradient, t);
    G.diagonal() *= 2;
    const Matrix N = eigen.eigenvectors().leftCols(nullity);
    const Eigen::SelfAdjointEigenSolver<Matrix> reduced(N.transpose() * G * N);
    if (reduced.eigenvalues()(0) >= -1e-7 * std::max(1.0, G.cwiseAbs().maxCoeff()))
      continue;
    leaves = true;
    const Vector v = N * reduced.eigenvectors().col(0);
    const Matrix grown = psi + 1e-2 * v * v.transpose() + 1e-12 * Matrix::Identity(k, k);
    covariance.pack(Eigen::LLT<Matrix>(grown).matrixL(), t, escaped);
  }
  return leaves;
}

// The diagonals of T_t where they are small, in decreasing order.
std::vector<double> small_pivots(const Covariance& covariance, const Vector& theta) {
  std::vector<double> out;
  for (Index t = 0; t < covariance.terms(); ++t) {
    const Vector diagonal = covariance.lower(theta, t).diagonal();
    for (Index i = 0; i < diagonal.size(); ++i) {
      if (diagonal(i) > 0 && diagonal(i) < 0.05) out.push_back(diagonal(i));
    }
  }
  std::sort(out.rbegin(), out.rend());
  return out;
}

// One search, and whether nearly zero columns of T_t are zero: towards such an optimum
// the criterion is flat and steps get ever smaller, so that it is searched for again from
// there, with all of the small columns at zero, then with all but the largest of them.
NewtonResult search_once(const Problem& problem, const Vector& start) {
  NewtonResult best = problem.search(start);
  const double allowed = best.at.value + 1e-11 * (1 + std::abs(best.at.value));
  const Vector found = canonical_theta(problem.covariance, best.x, 0).theta;
  for (double pivot : small_pivots(problem.covariance, found)) {
    const Canonical rounded =
        canonical_theta(problem.covariance, found, pivot * (1 + 1e-9));
    NewtonResult again = problem.search(rounded.theta);
    again.iterations += best.iterations;
    again.evaluations += best.evaluations;
    if (again.at.value <= allowed && (again.converged || !best.converged)) return again;
    best.iterations = again.iterations;
    best.evaluations = again.evaluations;
  }
  return best;
}

bool as_good(const Evaluation& at, const Evaluation& than, double tolerance) {
  const double steepest = than.gradient.cwiseAbs().maxCoeff();
  return at.value <= than.value + 1e-11 * (1 + std::abs(than.value)) &&
         at.gradient.cwiseAbs().maxCoeff() <= std::max(tolerance, steepest);
}

Optimum search_from(const Problem& problem, const Vector& start) {
  const Covariance& covariance = problem.covariance;
  Optimum fit;
  Vector theta = start;
  for (int round = 0; round < 20; ++round) {
    const NewtonResult newton = search_once(problem, theta);
    Canonical found = canonical_theta(covariance, newton.x, 1e-6);
    fit.iterations += newton.iterations;
    fit.evaluations += newton.evaluations;
    fit.converged = newton.converged;
    fit.at = newton.at;
    if (found.moved) {
      fit.at = problem.at(found.theta);
      ++fit.evaluations;
      // what is nearly zero is zero where the criterion can't tell
      if (!as_good(fit.at, newton.at, problem.settings.tolerance)) {
        found = canonical_theta(covariance, newton.x, 1e-12);
        if (found.moved) {
          fit.at = problem.at(found.theta);
          ++fit.evaluations;
        } else {
          fit.at = newton.at;
        }
      }
    }
    fit.theta = found.theta;
    fit.singular = found.singular;
    if (!found.moved) {
      const Vector sign = fit.theta.cwiseProduct(newton.x).unaryExpr(
          [](double product) { return product < 0 ? -1.0 : 1.0; });
      fit.at.gradient = fit.at.gradient.cwiseProduct(sign);
      fit.at.hessian = sign.asDiagonal() * fit.at.hessian * sign.asDiagonal();
    }
    Vector escaped;
    if (!found.singular ||
        !leaves_boundary(covariance, fit.at.carried, fit.theta, escaped))
      return fit;
    theta = escaped;
  }
  fit.converged = false;
  return fit;
}

}  // namespace

Optimum optimise(const MomentsAt& moments, Index n, const Covariance& covariance,
                 const OptimiseSettings& settings, const std::vector<Vector>& starts) {
  const Problem problem{moments, n, covariance, settings};
  Optimum best;
  int evaluations = 0;
  for (const Vector& start : starts) {
    const Optimum fit = search_from(problem, start);
    evaluations += fit.evaluations;
    if (best.starts == 0 || fit.at.value < best.at.value) {
      best = fit;
      best.starts = 1;
    }
  }
  best.psi_gradient = best.at.carried;
  best.evaluations = evaluations;
  best.starts = static_cast<int>(starts.size());
  return best;
}

}  // namespace kinlmm
