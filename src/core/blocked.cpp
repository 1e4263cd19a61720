#include "core/blocked.h"

#include <Eigen/Cholesky>
#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <limits>

namespace kinlmm {

BlockedData blocked_data(const ConstMatrixRef& Z, const ConstMatrixRef& Xy,
                         const std::vector<int>& level, Index q) {
  BlockedData data;
  data.n = Xy.rows();
  data.p = Xy.cols() - 1;
  data.k = Z.cols();
  data.q = q;
  const Index k = data.k, width = data.p + 1;
  data.A = Matrix::Zero(k, k * q);
  data.B = Matrix::Zero(k, width * q);
  for (Index i = 0; i < data.n; ++i) {
    const Index j = level[static_cast<std::size_t>(i)];
    for (Index a = 0; a < k; ++a) {
      const double z = Z(i, a);
      for (Index b = 0; b < k; ++b) data.A(a, j * k + b) += z * Z(i, b);
      for (Index b = 0; b < width; ++b) data.B(a, j * width + b) += z * Xy(i, b);
    }
  }
  data.C = Xy.transpose() * Xy;
  return data;
}

Matrix blocked_factor(const BlockedData& data, const ConstVectorRef& theta) {
  Matrix T = Matrix::Zero(data.k, data.k);
  for (Index i = 0; i < theta.size(); ++i) {
    const auto at = static_cast<std::size_t>(i);
    T(data.row[at], data.col[at]) = theta(i);
  }
  return T;
}

namespace {

// L with L L' = T'A_j T + I, and R = L^-1 T': everything about level j follows from them,
// and none of it needs Psi to be invertible.
struct Level {
  Matrix L;  // k x k
  Matrix R;  // k x k
};
Level factor_level(const BlockedData& data, const Matrix& T, Index j) {
  const Index k = data.k;
  Level level;
  const Eigen::LLT<Matrix> llt(T.transpose() * data.A_of(j) * T + Matrix::Identity(k, k));
  level.L = llt.matrixL();
  level.R = level.L.triangularView<Eigen::Lower>().solve(T.transpose());
  return level;
}

// Z_j'H^-1[Z_j] and Z_j'H^-1[X y].
struct Whitened {
  Matrix F;  // k x k
  Matrix E;  // k x (p+1)
};
Whitened whiten_level(const BlockedData& data, const Matrix& R, Index j) {
  const Matrix RA = R * data.A_of(j), RB = R * data.B_of(j);
  return {data.A_of(j) - RA.transpose() * RA, data.B_of(j) - RA.transpose() * RB};
}

// Sums over levels behind the Hessian in Psi, for every pair of directions D_a, D_b, with
// F_j, E_j as above, e_j its X part, v_j = Z_j'P y and Q = (X'H^-1 X)^-1.
class HessianSums {
 public:
  HessianSums(const std::vector<Matrix>& directions, Index p)
      : D_(directions),
        count_(static_cast<Index>(directions.size())),
        trace_FF_(Matrix::Zero(count_, count_)),
        trace_FE_(Matrix::Zero(count_, count_)),
        quadratic_(Matrix::Zero(count_, count_)),
        first_(Vector::Zero(count_)),
        cross_(Matrix::Zero(p, count_)),
        weighted_(directions.size(), Matrix::Zero(p, p)) {}

  void add(const Matrix& F, const Matrix& e, const Vector& v, const Matrix& Q) {
    const Matrix EQE = e * Q * e.transpose();
    std::vector<Matrix> FD(D_.size()), ED(D_.size()), Dv(D_.size());
    for (std::size_t a = 0; a < D_.size(); ++a) {
      const Index at = static_cast<Index>(a);
      FD[a] = F * D_[a];
      ED[a] = EQE * D_[a];
      Dv[a] = D_[a] * v;
      first_(at) += v.dot(Dv[a].col(0));
      cross_.col(at) += e.transpose() * Dv[a];
      weighted_[a] += e.transpose() * D_[a] * e;
    }
    for (Index a = 0; a < count_; ++a) {
      for (Index b = 0; b <= a; ++b) {
        const auto A = static_cast<std::size_t>(a), B = static_cast<std::size_t>(b);
        trace_FF_(a, b) += (FD[A] * FD[B]).trace();
        trace_FE_(a, b) += (FD[A] * ED[B]).trace() + (ED[A] * FD[B]).trace();
        quadratic_(a, b) += Dv[A].col(0).dot(F * Dv[B].col(0));
      }
    }
  }

  // Second derivatives of the criterion along every pair, s = y'Py.
  Matrix result(const Matrix& Q, double s, double dof, bool reml) const {
    Matrix out(count_, count_);
    for (Index a = 0; a < count_; ++a) {
      for (Index b = 0; b <= a; ++b) {
        double trace = trace_FF_(a, b);
        if (reml) {
          trace += -trace_FE_(a, b) + (Q * weighted_[static_cast<std::size_t>(a)] * Q *
                                       weighted_[static_cast<std::size_t>(b)])
                                          .trace();
        }
        const double curve = quadratic_(a, b) - cross_.col(a).dot(Q * cross_.col(b));
        out(a, b) = -trace + dof * (2 * curve / s - first_(a) * first_(b) / (s * s));
        out(b, a) = out(a, b);
      }
    }
    return out;
  }

 private:
  const std::vector<Matrix>& D_;
  Index count_;
  Matrix trace_FF_, trace_FE_, quadratic_;
  Vector first_;
  Matrix cross_;  // p x count
  std::vector<Matrix> weighted_;
};

// dPsi / dtheta_i = e_row t_col' + t_col e_row'.
std::vector<Matrix> psi_directions(const BlockedData& data, const Matrix& T) {
  std::vector<Matrix> out(data.row.size(), Matrix::Zero(data.k, data.k));
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i].row(data.row[i]) += T.col(data.col[i]).transpose();
    out[i].col(data.row[i]) += T.col(data.col[i]);
  }
  return out;
}

}  // namespace

BlockedMoments blocked_moments(const BlockedData& data, const ConstVectorRef& theta) {
  const Matrix T = blocked_factor(data, theta);
  BlockedMoments out;
  out.S = data.C;
  for (Index j = 0; j < data.q; ++j) {
    const Level level = factor_level(data, T, j);
    const Matrix RB = level.R * data.B_of(j);
    out.logdet += 2 * level.L.diagonal().array().log().sum();
    out.S.noalias() -= RB.transpose() * RB;
  }
  return out;
}

BlockedEvaluation blocked_criterion(const BlockedData& data, const ConstVectorRef& theta,
                                    bool reml) {
  const Index p = data.p, k = data.k;
  const double dof = static_cast<double>(reml ? data.n - p : data.n);
  const Matrix T = blocked_factor(data, theta);
  const BlockedMoments moments = blocked_moments(data, theta);
  const ProfiledFixed fixed = profiled_fixed(moments.S);
  BlockedEvaluation out;
  out.gradient = Vector::Zero(theta.size());
  out.hessian = Matrix::Zero(theta.size(), theta.size());
  out.psi_gradient = Matrix::Zero(k, k);
  if (!(fixed.s > 0)) {
    out.value = std::numeric_limits<double>::infinity();
    return out;
  }
  out.value = moments.logdet + dof * (1 + std::log(2 * M_PI * fixed.s / dof)) +
              (reml ? fixed.logdet : 0);

  const std::vector<Matrix> directions = psi_directions(data, T);
  HessianSums sums(directions, p);
  for (Index j = 0; j < data.q; ++j) {
    const Whitened level = whiten_level(data, factor_level(data, T, j).R, j);
    const Matrix e = level.E.leftCols(p);
    const Vector v = level.E.col(p) - e * fixed.beta;
    out.psi_gradient += level.F - (dof / fixed.s) * v * v.transpose();
    if (reml) out.psi_gradient -= e * fixed.unscaled * e.transpose();
    sums.add(level.F, e, v, fixed.unscaled);
  }
  out.hessian = sums.result(fixed.unscaled, fixed.s, dof, reml);
  const Matrix GT = out.psi_gradient * T;
  for (Index i = 0; i < theta.size(); ++i) {
    const auto at = static_cast<std::size_t>(i);
    out.gradient(i) = 2 * GT(data.row[at], data.col[at]);
    for (Index l = 0; l < theta.size(); ++l) {
      const auto to = static_cast<std::size_t>(l);
      if (data.col[at] == data.col[to]) {
        out.hessian(i, l) += 2 * out.psi_gradient(data.row[at], data.row[to]);
      }
    }
  }
  return out;
}

namespace {

// The free elements of a factor: the inverse of blocked_factor().
Vector theta_of(const BlockedData& data, const Matrix& factor) {
  Vector theta(static_cast<Index>(data.row.size()));
  for (std::size_t i = 0; i < data.row.size(); ++i) {
    theta(static_cast<Index>(i)) = factor(data.row[i], data.col[i]);
  }
  return theta;
}

// The columns of T that the pattern leaves free at or below their diagonal form blocks,
// one per term; a block that is rank deficient is factored again so that its zero columns
// are exactly those whose own diagonal is free to grow.
struct Canonical {
  Vector theta;
  bool singular = false;
};
Canonical canonical_theta(const BlockedData& data, const ConstVectorRef& theta,
                          double negligible) {
  Matrix T = blocked_factor(data, theta);
  const Matrix psi = T * T.transpose();
  Matrix factor = Matrix::Zero(data.k, data.k);
  Canonical out;
  for (Index c = 0; c < data.k; ++c) {
    double pivot = psi(c, c) - factor.row(c).head(c).squaredNorm();
    if (pivot <= negligible * negligible) {
      out.singular = true;
      continue;
    }
    pivot = std::sqrt(pivot);
    factor(c, c) = pivot;
    for (Index r = c + 1; r < data.k; ++r) {
      factor(r, c) =
          (psi(r, c) - factor.row(r).head(c).dot(factor.row(c).head(c))) / pivot;
    }
  }
  out.theta = theta_of(data, factor);
  return out;
}

// Negative curvature of the criterion out of the null space of Psi, within the pattern:
// the KKT condition of Psi >= 0. Returns true, and a theta that leaves, when it is
// violated.
bool leaves_boundary(const BlockedData& data, const BlockedEvaluation& at,
                     const Vector& theta, Vector& escaped) {
  const Matrix T = blocked_factor(data, theta);
  Matrix pattern = Matrix::Zero(data.k, data.k);
  for (std::size_t i = 0; i < data.row.size(); ++i) {
    pattern(data.row[i], data.col[i]) = pattern(data.col[i], data.row[i]) = 1;
  }
  const Matrix psi = T * T.transpose();
  const Eigen::SelfAdjointEigenSolver<Matrix> eigen(psi);
  const double zero = 1e-10 * std::max(1.0, eigen.eigenvalues().maxCoeff());
  Index nullity = 0;
  while (nullity < data.k && eigen.eigenvalues()(nullity) <= zero) ++nullity;
  if (nullity == 0) return false;
  const Matrix N = eigen.eigenvectors().leftCols(nullity);
  const Matrix G = at.psi_gradient.cwiseProduct(pattern);
  const Eigen::SelfAdjointEigenSolver<Matrix> reduced(N.transpose() * G * N);
  if (reduced.eigenvalues()(0) >= -1e-7 * std::max(1.0, G.cwiseAbs().maxCoeff()))
    return false;
  const Vector v = N * reduced.eigenvectors().col(0);
  const Matrix grown = (psi + 1e-2 * v * v.transpose()).cwiseProduct(pattern);
  const Matrix factor =
      Eigen::LLT<Matrix>(grown + 1e-12 * Matrix::Identity(data.k, data.k)).matrixL();
  escaped = theta_of(data, factor);
  return true;
}

// The diagonal of T where it is small, in decreasing order.
std::vector<double> small_pivots(const BlockedData& data, const ConstVectorRef& theta) {
  std::vector<double> out;
  for (std::size_t i = 0; i < data.row.size(); ++i) {
    const double pivot = std::abs(theta(static_cast<Index>(i)));
    if (data.row[i] == data.col[i] && pivot > 0 && pivot < 0.05) out.push_back(pivot);
  }
  std::sort(out.rbegin(), out.rend());
  return out;
}

// One search, and whether nearly zero columns of T are zero: towards such an optimum the
// criterion is flat and steps get ever smaller, so that it is searched for again from
// there, with all of the small columns at zero, then with all but the largest of them.
NewtonResult search_once(const BlockedData& data, bool reml, double tolerance,
                         int max_iterations, const Vector& start) {
  const auto f = [&](const Vector& theta) -> Evaluation {
    return blocked_criterion(data, theta, reml);
  };
  NewtonResult best = minimise_newton(f, start, tolerance, max_iterations);
  const double allowed = best.at.value + 1e-11 * (1 + std::abs(best.at.value));
  const Vector found = canonical_theta(data, best.x, 0).theta;
  for (double pivot : small_pivots(data, found)) {
    const Canonical rounded = canonical_theta(data, found, pivot * (1 + 1e-9));
    NewtonResult again = minimise_newton(f, rounded.theta, tolerance, max_iterations);
    again.iterations += best.iterations;
    again.evaluations += best.evaluations;
    if (again.at.value <= allowed && (again.converged || !best.converged)) return again;
    best.iterations = again.iterations;
    best.evaluations = again.evaluations;
  }
  return best;
}

BlockedFit fit_from(const BlockedData& data, bool reml, double tolerance,
                    int max_iterations, const Vector& start) {
  BlockedFit fit;
  Vector theta = start;
  for (int round = 0; round < 20; ++round) {
    const NewtonResult newton = search_once(data, reml, tolerance, max_iterations, theta);
    const Canonical found = canonical_theta(data, newton.x, 1e-12);
    fit.iterations += newton.iterations;
    fit.evaluations += newton.evaluations + 1;
    fit.converged = newton.converged;
    fit.theta = found.theta;
    fit.singular = found.singular;
    fit.at = blocked_criterion(data, fit.theta, reml);
    Vector escaped;
    if (!found.singular || !leaves_boundary(data, fit.at, fit.theta, escaped)) return fit;
    theta = escaped;
  }
  fit.converged = false;
  return fit;
}

}  // namespace

BlockedFit fit_blocked(const BlockedData& data, bool reml, double tolerance,
                       int max_iterations, const std::vector<Vector>& starts) {
  BlockedFit best;
  int evaluations = 0;
  for (const Vector& start : starts) {
    const BlockedFit fit = fit_from(data, reml, tolerance, max_iterations, start);
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

BlockedEffects blocked_effects(const BlockedData& data, const ConstVectorRef& theta) {
  const Index p = data.p, k = data.k;
  const Matrix T = blocked_factor(data, theta);
  const Matrix psi = T * T.transpose();
  const ProfiledFixed fixed = profiled_fixed(blocked_moments(data, theta).S);
  BlockedEffects out;
  out.mode.resize(k, data.q);
  out.conditional.resize(k, k * data.q);
  out.prediction.resize(k, k * data.q);
  for (Index j = 0; j < data.q; ++j) {
    const Matrix Rj = factor_level(data, T, j).R;
    const Whitened level = whiten_level(data, Rj, j);
    const Matrix e = level.E.leftCols(p);
    out.mode.col(j) = psi * (level.E.col(p) - e * fixed.beta);
    const Matrix pe = psi * e;
    out.conditional.middleCols(j * k, k) = Rj.transpose() * Rj;
    out.prediction.middleCols(j * k, k) =
        Rj.transpose() * Rj + pe * fixed.unscaled * pe.transpose();
  }
  return out;
}

}  // namespace kinlmm
