#include "core/optimise.h"

#include <Eigen/Cholesky>
#include <Eigen/Eigenvalues>
#include <Eigen/QR>
#include <algorithm>
#include <cmath>
#include <numeric>

namespace kinlmm {

namespace {

// Coordinates of the search. Within a term the effects may stand in another order than in
// theta: in that of decreasing pivots a Psi_t that loses rank shows it in the last
// columns of its factor alone, and the criterion has no curved valleys there.
class Coordinates {
 public:
  explicit Coordinates(const Covariance& covariance) : covariance_(&covariance) {
    for (Index t = 0; t < covariance.terms(); ++t) {
      std::vector<Index> order(static_cast<std::size_t>(covariance.size(t)));
      std::iota(order.begin(), order.end(), 0);
      order_.push_back(order);
    }
    index();
  }

  bool operator==(const Coordinates& other) const { return order_ == other.order_; }

  // The coordinates in which the pivots of the factors of x decrease.
  Coordinates pivoted(const Vector& x) const {
    Coordinates out = *this;
    for (Index t = 0; t < covariance_->terms(); ++t) {
      Matrix left = psi_of(x, t);
      auto& order = out.order_[static_cast<std::size_t>(t)];
      for (Index c = 0; c < left.cols(); ++c) {
        Index largest = 0;
        left.diagonal().maxCoeff(&largest);
        const double pivot = left(largest, largest);
        if (pivot <= 0) {
          // the others are zero: whichever are not there yet
          for (Index r = 0, at = c; r < left.cols(); ++r) {
            if (left(r, r) > -1) order[static_cast<std::size_t>(at++)] = r;
          }
          break;
        }
        order[static_cast<std::size_t>(c)] = largest;
        const Vector column = left.col(largest);
        left -= column * column.transpose() / pivot;
        left.row(largest).setZero();
        left.col(largest).setZero();
        left(largest, largest) = -2;
        for (Index r = 0; r < left.cols(); ++r) {
          if (left(r, r) > -1 && left(r, r) < 0) left(r, r) = 0;
        }
      }
    }
    out.index();
    return out;
  }

  // Psi_t, in the order of theta.
  Matrix psi_of(const Vector& x, Index t) const {
    const Matrix T = covariance_->lower(x, t), psi = T * T.transpose();
    Matrix out(psi.rows(), psi.cols());
    const auto& order = order_[static_cast<std::size_t>(t)];
    for (Index a = 0; a < psi.rows(); ++a) {
      for (Index b = 0; b < psi.cols(); ++b) {
        out(order[static_cast<std::size_t>(a)], order[static_cast<std::size_t>(b)]) =
            psi(a, b);
      }
    }
    return out;
  }

  // x of these coordinates, where the same covariances are `theta` in others.
  Vector from(const Coordinates& other, const Vector& x) const {
    Vector out(x.size());
    for (Index t = 0; t < covariance_->terms(); ++t) {
      const Matrix T = covariance_->lower(x, t);
      Matrix rows(T.rows(), T.cols());
      const auto& own = order_[static_cast<std::size_t>(t)];
      const auto& before = other.order_[static_cast<std::size_t>(t)];
      if (own == before) {
        covariance_->pack(T, t, out);
        continue;
      }
      for (Index a = 0; a < T.rows(); ++a) {
        const auto place =
            std::find(own.begin(), own.end(), before[static_cast<std::size_t>(a)]);
        rows.row(place - own.begin()) = T.row(a);
      }
      // rows rows' = R'R
      const Eigen::HouseholderQR<Matrix> qr(rows.transpose());
      covariance_->pack(qr.matrixQR().triangularView<Eigen::Upper>().transpose(), t, out);
    }
    return out;
  }

  // Derivatives in the components of these coordinates, from those in psi.
  Vector permuted(const Vector& gradient) const {
    Vector out(gradient.size());
    for (Index c = 0; c < out.size(); ++c)
      out(c) = gradient(component_[static_cast<std::size_t>(c)]);
    return out;
  }
  Matrix permuted(const Matrix& hessian) const {
    Matrix out(hessian.rows(), hessian.cols());
    for (Index c = 0; c < out.cols(); ++c) {
      for (Index d = 0; d < out.cols(); ++d) {
        out(c, d) = hessian(component_[static_cast<std::size_t>(c)],
                            component_[static_cast<std::size_t>(d)]);
      }
    }
    return out;
  }

 private:
  void index() {
    component_.clear();
    for (Index t = 0; t < covariance_->terms(); ++t) {
      const Index k = covariance_->size(t);
      const auto& order = order_[static_cast<std::size_t>(t)];
      for (Index c = 0; c < k; ++c) {
        for (Index r = c; r < k; ++r) {
          const Index a = order[static_cast<std::size_t>(r)],
                      b = order[static_cast<std::size_t>(c)];
          const Index row = std::max(a, b), col = std::min(a, b);
          component_.push_back(covariance_->first(t) + col * k - col * (col - 1) / 2 +
                               row - col);
        }
      }
    }
  }

  const Covariance* covariance_;
  std::vector<std::vector<Index>> order_;
  std::vector<Index> component_;
};

struct Problem {
  const MomentsAt& moments;
  Index n;
  const Covariance& covariance;
  const OptimiseSettings& settings;
  Coordinates natural;
  Coordinates current;

  Vector theta_of(const Vector& x) const {
    return natural == current ? x : natural.from(current, x);
  }

  // The gradient in psi is carried along.
  Evaluation at(const Vector& x) const {
    const Order order = settings.order;
    const Evaluation psi =
        profiled_criterion(moments(theta_of(x), order), n, settings.reml, order);
    const Vector gradient = current.permuted(psi.gradient);
    Evaluation out;
    out.value = psi.value;
    out.gradient = covariance.gradient(x, gradient);
    out.hessian = covariance.hessian(x, gradient, current.permuted(psi.hessian));
    out.carried = psi.gradient;
    return out;
  }

  NewtonResult search(const Vector& start, int max_iterations) const {
    return minimise_newton([this](const Vector& x) { return at(x); }, start,
                           settings.tolerance, max_iterations,
                           settings.order != Order::exact);
  }
};

// T_t with a diagonal that is not negative. Columns with pivots of at most `negligible`,
// and what rounding leaves of them, are exactly zero.
struct Canonical {
  Vector x;
  bool singular = false;
};
Canonical canonical(const Covariance& covariance, const Vector& x, double negligible) {
  Canonical out;
  out.x = x;
  for (Index t = 0; t < covariance.terms(); ++t) {
    const Matrix T = covariance.lower(x, t);
    const Index k = covariance.size(t);
    Matrix factor = Matrix::Zero(k, k);
    if (T.diagonal().cwiseAbs().minCoeff() > negligible) {
      for (Index c = 0; c < k; ++c) factor.col(c) = T.col(c) * (T(c, c) < 0 ? -1 : 1);
      covariance.pack(factor, t, out.x);
      continue;
    }
    out.singular = true;
    const Matrix psi = T * T.transpose();
    for (Index c = 0; c < k; ++c) {
      const double pivot = psi(c, c) - factor.row(c).head(c).squaredNorm();
      if (pivot <= std::max(negligible * negligible, 1e-14 * psi(c, c))) continue;
      factor(c, c) = std::sqrt(pivot);
      for (Index r = c + 1; r < k; ++r) {
        factor(r, c) =
            (psi(r, c) - factor.row(r).head(c).dot(factor.row(c).head(c))) / factor(c, c);
      }
    }
    covariance.pack(factor, t, out.x);
  }
  return out;
}

// Negative slope of the criterion out of the null space of some Psi_t: the KKT condition
// of Psi_t >= 0 where the criterion is stationary in the rest. Returns true, and an x
// that leaves, when it is violated.
bool leaves_boundary(const Problem& problem, const Evaluation& at, const Vector& x,
                     Vector& escaped) {
  const Covariance& covariance = problem.covariance;
  const Vector gradient = problem.current.permuted(at.carried);
  bool leaves = false;
  escaped = x;
  for (Index t = 0; t < covariance.terms(); ++t) {
    const Index k = covariance.size(t);
    const Matrix T = covariance.lower(x, t);
    const Matrix psi = T * T.transpose();
    const Eigen::SelfAdjointEigenSolver<Matrix> eigen(psi);
    const double zero = 1e-10 * std::max(1.0, eigen.eigenvalues().maxCoeff());
    Index nullity = 0;
    while (nullity < k && eigen.eigenvalues()(nullity) <= zero) ++nullity;
    if (nullity == 0) continue;
    // d criterion = <G, dPsi>: a component off the diagonal moves two elements
    Matrix G = 0.5 * covariance.symmetric(gradient, t);
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

// The smallest ratio of diagonals within a factor of several columns.
double smallest_pivot(const Covariance& covariance, const Vector& x) {
  double out = 1;
  for (Index t = 0; t < covariance.terms(); ++t) {
    const Vector diagonal = covariance.lower(x, t).diagonal().cwiseAbs();
    const double largest = diagonal.maxCoeff();
    if (diagonal.size() > 1 && largest > 0)
      out = std::min(out, diagonal.minCoeff() / largest);
  }
  return out;
}

// The diagonals of the factors where they are small, in decreasing order.
std::vector<double> small_pivots(const Covariance& covariance, const Vector& x) {
  std::vector<double> out;
  for (Index t = 0; t < covariance.terms(); ++t) {
    const Vector diagonal = covariance.lower(x, t).diagonal().cwiseAbs();
    for (Index i = 0; i < diagonal.size(); ++i) {
      if (diagonal(i) > 0 && diagonal(i) < 0.05) out.push_back(diagonal(i));
    }
  }
  std::sort(out.rbegin(), out.rend());
  return out;
}

// Whether nearly zero columns are zero: towards such an optimum the criterion is flat and
// steps get ever smaller, so that it is searched for again from there, with all of the
// small columns at zero, then with all but the largest of them.
NewtonResult without_small_columns(const Problem& problem, NewtonResult best,
                                   int max_iterations) {
  const double allowed = best.at.value + 1e-11 * (1 + std::abs(best.at.value));
  for (double pivot : small_pivots(problem.covariance, best.x)) {
    const Canonical rounded = canonical(problem.covariance, best.x, pivot * (1 + 1e-9));
    NewtonResult again = problem.search(rounded.x, max_iterations);
    again.iterations += best.iterations;
    again.evaluations += best.evaluations;
    if (again.at.value <= allowed && (again.converged || !best.converged)) return again;
    best.iterations = again.iterations;
    best.evaluations = again.evaluations;
  }
  return best;
}

Optimum search_from(Problem problem, const Vector& start) {
  Optimum fit;
  Vector x = start;
  // where there is no second order of the effects, there is nothing to come back for
  const bool ordered = problem.covariance.count() == problem.covariance.terms();
  for (int round = 0; round < 20; ++round) {
    const int left = std::max(0, problem.settings.max_iterations - fit.iterations);
    NewtonResult newton =
        problem.search(x, ordered || round > 4 ? left : std::min(left, 30));
    fit.iterations += newton.iterations;
    fit.evaluations += newton.evaluations;
    fit.converged = newton.converged;
    const bool near = smallest_pivot(problem.covariance, newton.x) < 0.1;
    if (round < 5 && left > 0 && !ordered && (near || !newton.converged)) {
      const Coordinates pivoted = problem.current.pivoted(newton.x);
      x = pivoted.from(problem.current, newton.x);
      const bool same = pivoted == problem.current;
      problem.current = pivoted;
      if (!same || !newton.converged) continue;
    }
    newton.iterations = newton.evaluations = 0;
    newton = without_small_columns(problem, newton, left);
    fit.iterations += newton.iterations;
    fit.evaluations += newton.evaluations + 1;
    fit.converged = newton.converged;
    const Canonical found = canonical(problem.covariance, newton.x, 1e-12);
    fit.singular = found.singular;
    if (found.singular) newton.at = problem.at(found.x);
    Vector escaped;
    const bool leaves =
        found.singular && leaves_boundary(problem, newton.at, found.x, escaped);
    if (leaves && round == 19) fit.converged = false;
    if (!leaves || round == 19) {
      const Canonical natural =
          canonical(problem.covariance, problem.theta_of(found.x), 1e-12);
      fit.theta = natural.x;
      fit.at = newton.at;
      fit.at.gradient = problem.covariance.gradient(fit.theta, newton.at.carried);
      return fit;
    }
    x = escaped;
  }
  return fit;
}

}  // namespace

Optimum optimise(const MomentsAt& moments, Index n, const Covariance& covariance,
                 const OptimiseSettings& settings, const std::vector<Vector>& starts) {
  const Coordinates natural(covariance);
  const Problem problem{moments, n, covariance, settings, natural, natural};
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
  best.evaluations = evaluations;
  best.starts = static_cast<int>(starts.size());
  return best;
}

}  // namespace kinlmm
