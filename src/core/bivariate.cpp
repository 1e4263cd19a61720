#include "core/bivariate.h"

#include <Eigen/Cholesky>
#include <Eigen/Eigenvalues>
#include <Eigen/QR>
#include <algorithm>
#include <cmath>
#include <limits>

#include "core/lapack.h"

namespace kinlmm {

namespace {

using Matrix2 = Eigen::Matrix2d;

constexpr double infinity = std::numeric_limits<double>::infinity();

std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

// V_t of psi.
Matrix2 covariance_of(const ConstVectorRef& psi, Index t) {
  Matrix2 V;
  V << psi[3 * t], psi[3 * t + 1], psi[3 * t + 1], psi[3 * t + 2];
  return V;
}

// dV/dpsi for the elements 11, 21, 22.
Matrix2 unit_of(Index element) {
  Matrix2 E = Matrix2::Zero();
  if (element == 0) E(0, 0) = 1;
  if (element == 1) E(0, 1) = E(1, 0) = 1;
  if (element == 2) E(1, 1) = 1;
  return E;
}

// A'(sum of w_ab z z')A by its four sums over the pairs of columns of z = [X y_1 y_2], in
// the columns of T: [X 0 y_1; 0 X y_2] on both sides.
Matrix assemble(const ConstMatrixRef& T, Index p) {
  const Index m = p + 2;
  const auto sum = [&](Index a, Index b, Index j, Index k) {
    const Index high = std::max(j, k), low = std::min(j, k);
    return T(low * m - low * (low - 1) / 2 + high - low, 2 * a + b);
  };
  Matrix out = Matrix::Zero(2 * p + 1, 2 * p + 1);
  for (Index a = 0; a < 2; ++a) {
    for (Index b = 0; b < 2; ++b) {
      for (Index j = 0; j < p; ++j) {
        for (Index k = 0; k < p; ++k) out(a * p + j, b * p + k) = sum(a, b, j, k);
        out(a * p + j, 2 * p) += sum(a, b, j, p + b);
        out(2 * p, b * p + j) += sum(a, b, p + a, j);
      }
      out(2 * p, 2 * p) += sum(a, b, p + a, p + b);
    }
  }
  return out;
}

// (X'V^-1 X)^-1, beta and Py = V^-1 A b, b = (-beta; 1).
struct Profiled {
  Matrix Q;
  Vector b;
  double logdet = 0, s = 0;
  bool defined = true;
};

Profiled profile(const Matrix& S) {
  const Index P = S.rows() - 1;
  Profiled out;
  out.b = Vector::Ones(P + 1);
  out.s = S(P, P);
  if (P == 0) return out;
  const Eigen::LLT<Matrix> inner(S.topLeftCorner(P, P));
  out.defined = inner.info() == Eigen::Success;
  if (!out.defined) return out;
  const Vector beta = inner.solve(S.col(P).head(P));
  out.Q = inner.solve(Matrix::Identity(P, P));
  out.b.head(P) = -beta;
  out.logdet = 2 * Matrix(inner.matrixL()).diagonal().array().log().sum();
  out.s -= beta.dot(S.col(P).head(P));
  return out;
}

}  // namespace

PairedTraits::PairedTraits(const ConstVectorRef& d, const ConstMatrixRef& Xy,
                           const ConstMatrixRef& within, double beside)
    : p_(Xy.cols() - 2) {
  const Index q = d.size(), m = Xy.cols();
  d_ = Vector::Zero(q + 1);
  d_.head(q) = d;
  times_ = Vector::Ones(q + 1);
  times_[q] = beside;
  products_.resize(q + 1, m * (m + 1) / 2);
  for (Index k = 0, c = 0; k < m; ++k) {
    for (Index j = k; j < m; ++j, ++c) {
      products_.col(c).head(q) = Xy.col(j).cwiseProduct(Xy.col(k));
      products_(q, c) = within(j, k);
    }
  }
}

Moments PairedTraits::moments(const ConstVectorRef& psi, Order order) const {
  const bool exact = order >= Order::average, gradient = order >= Order::gradient;
  const Index pairs = exact ? 21 : 0, first = gradient ? 6 : 0, rows = d_.size();
  const Matrix2 Vg = covariance_of(psi, 0), Ve = covariance_of(psi, 1);
  Matrix weights(std::min<Index>(rows, 2048), 4 * (1 + first + pairs));
  Matrix sums = Matrix::Zero(products_.cols(), weights.cols());
  Moments out;
  out.trace = Vector::Zero(6);
  out.traces = Matrix::Zero(6, 6);
  out.S = Matrix::Zero(2 * p_ + 1, 2 * p_ + 1);
  const auto put = [&](Index row, Index block, const Matrix2& M) {
    weights.row(row).segment(4 * block, 4) << M(0, 0), M(0, 1), M(1, 0), M(1, 1);
  };
  for (Index begin = 0; begin < rows; begin += weights.rows()) {
    const Index size = std::min(weights.rows(), rows - begin);
    for (Index i = 0; i < size; ++i) {
      const double d = d_[begin + i], times = times_[begin + i];
      const Matrix2 V = d * Vg + Ve;
      const double det = V(0, 0) * V(1, 1) - V(0, 1) * V(1, 0);
      if (!(V(0, 0) > 0) || !(det > 1e-10 * V(0, 0) * V(1, 1))) {
        // a dimension that is not there
        if (times == 0 && begin + i == rows - 1) {
          weights.row(i).setZero();
          continue;
        }
        out.logdet = infinity;
        return out;
      }
      out.logdet += times * std::log(det);
      Matrix2 Vi;
      Vi << V(1, 1), -V(0, 1), -V(1, 0), V(0, 0);
      Vi /= det;
      put(i, 0, Vi);
      Matrix2 ViG[6];
      for (Index c = 0; c < first; ++c) {
        ViG[c] = (c < 3 ? d : 1.0) * Vi * unit_of(c % 3);
        out.trace[c] += times * ViG[c].trace();
        put(i, 1 + c, ViG[c] * Vi);
      }
      for (Index c = 0, block = 7; exact && c < 6; ++c) {
        for (Index e = 0; e <= c; ++e, ++block) {
          const Matrix2 M = ViG[c] * ViG[e];
          out.traces(c, e) += times * M.trace();
          put(i, block, M * Vi);
        }
      }
    }
    lapack::gemm(true, false, 1, products_.middleRows(begin, size), weights.topRows(size),
                 1, sums);
  }
  out.S = assemble(sums.leftCols(4), p_);
  for (Index c = 0; c < first; ++c)
    out.W.push_back(assemble(sums.middleCols(4 * (1 + c), 4), p_));
  if (!exact) return out;
  out.WW.resize(36);
  for (Index c = 0, block = 7; c < 6; ++c) {
    for (Index e = 0; e <= c; ++e, ++block) {
      out.traces(e, c) = out.traces(c, e);
      const Matrix WW = assemble(sums.middleCols(4 * block, 4), p_);
      out.WW[at(c * 6 + e)] = WW;
      out.WW[at(e * 6 + c)] = WW.transpose();
    }
  }
  return out;
}

namespace {

// The kernel of term t between records; the last term is that of the residuals.
class Joint {
 public:
  Joint(const JointData& data)
      : data_(data),
        n1_(static_cast<Index>(data.rows[0].size())),
        n2_(static_cast<Index>(data.rows[1].size())),
        terms_(static_cast<Index>(data.K.size())) {}

  Index count() const { return 3 * (terms_ + 1); }
  Index begin(Index a) const { return a == 0 ? 0 : n1_; }
  Index size(Index a) const { return a == 0 ? n1_ : n2_; }

  // f(i, j, element, t, k): values i >= j, their element of V_t (0, 1, 2), and K_t there,
  // without what is zero.
  template <class F>
  void each(Index t, F&& f) const {
    for (Index b = 0; b < 2; ++b) {
      for (Index j = 0; j < size(b); ++j) {
        const Index record = data_.rows[b][at(j)];
        for (Index a = b; a < 2; ++a) {
          const auto& rows = data_.rows[a];
          if (t == terms_) {
            const auto same = std::lower_bound(rows.begin(), rows.end(), record);
            if (same != rows.end() && *same == record) {
              f(begin(a) + (same - rows.begin()), begin(b) + j, a + b, 1.0);
            }
            continue;
          }
          const double* column = data_.K[at(t)].col(record).data();
          for (Index i = a == b ? j : 0; i < size(a); ++i)
            f(begin(a) + i, begin(b) + j, a + b, column[rows[at(i)]]);
        }
      }
    }
  }

  // Lower triangle of V, or of one derivative.
  Matrix covariance(const ConstVectorRef& psi) const {
    Matrix V = Matrix::Zero(n1_ + n2_, n1_ + n2_);
    for (Index t = 0; t <= terms_; ++t) {
      const Vector mine = psi.segment(3 * t, 3);
      if (mine.isZero(0)) continue;
      each(t, [&](Index i, Index j, Index e, double k) { V(i, j) += mine[e] * k; });
    }
    return V;
  }

  // tr(A G_c) for a symmetric A by its lower triangle.
  Vector traces(const Matrix& A) const {
    Vector out = Vector::Zero(count());
    for (Index t = 0; t <= terms_; ++t) {
      each(t, [&](Index i, Index j, Index e, double k) {
        out[3 * t + e] += (i == j ? 1 : 2) * k * A(i, j);
      });
    }
    return out;
  }

  // G_c B for every c.
  std::vector<Matrix> products(const Matrix& B) const {
    std::vector<Matrix> out;
    const Index width = B.cols();
    for (Index t = 0; t <= terms_; ++t) {
      const Index n = terms_ == 0 ? 0 : data_.K[0].rows();
      Matrix spread = Matrix::Zero(std::max(n, last_record() + 1), 2 * width);
      for (Index a = 0; a < 2; ++a) {
        for (Index i = 0; i < size(a); ++i)
          spread.row(data_.rows[a][at(i)]).segment(a * width, width) =
              B.row(begin(a) + i);
      }
      if (t < terms_) {
        Matrix K = Matrix::Zero(spread.rows(), spread.cols());
        lapack::symm(data_.K[at(t)], spread, K);
        spread = K;
      }
      for (Index element = 0; element < 3; ++element) {
        const Matrix2 E = unit_of(element);
        Matrix one = Matrix::Zero(B.rows(), width);
        for (Index a = 0; a < 2; ++a) {
          for (Index b = 0; b < 2; ++b) {
            if (E(a, b) == 0) continue;
            for (Index i = 0; i < size(a); ++i) {
              one.row(begin(a) + i) +=
                  spread.row(data_.rows[a][at(i)]).segment(b * width, width);
            }
          }
        }
        out.push_back(one);
      }
    }
    return out;
  }

  // The columns of Vi for trait a times K_t between the records of a and of b.
  Matrix columns(const Matrix& Vi, Index t, Index a, Index b) const {
    Matrix K = Matrix::Zero(size(a), size(b)), out = Matrix::Zero(Vi.rows(), size(b));
    const auto& rows = data_.rows[a];
    for (Index j = 0; j < size(b); ++j) {
      const Index record = data_.rows[b][at(j)];
      if (t == terms_) {
        const auto same = std::lower_bound(rows.begin(), rows.end(), record);
        if (same != rows.end() && *same == record)
          out.col(j) = Vi.col(begin(a) + (same - rows.begin()));
        continue;
      }
      for (Index i = 0; i < size(a); ++i) K(i, j) = data_.K[at(t)](rows[at(i)], record);
    }
    if (t < terms_)
      lapack::gemm(false, false, 1, Vi.middleCols(begin(a), size(a)), K, 0, out);
    return out;
  }

 private:
  Index last_record() const {
    Index last = 0;
    for (const auto& rows : data_.rows)
      if (!rows.empty()) last = std::max(last, rows.back());
    return last;
  }

  const JointData& data_;
  Index n1_, n2_, terms_;
};

// y'P G_c P G_d P y.
Matrix average_of(const std::vector<Matrix>& GHiA, const Matrix& HiA, const Matrix& L,
                  const Profiled& fixed) {
  const Index count = static_cast<Index>(GHiA.size()), P = fixed.b.size() - 1;
  Matrix F(HiA.rows(), count);
  for (Index c = 0; c < count; ++c) F.col(c) = GHiA[at(c)] * fixed.b;
  const Matrix through = HiA.leftCols(P).transpose() * F;
  lapack::solve_lower(false, L, F);
  Matrix out = F.transpose() * F;
  if (P > 0) out -= through.transpose() * fixed.Q * through;
  return out;
}

// V^-1 G_c: its columns of trait 1 and of trait 2, empty where they are zero.
struct Columns {
  Matrix of[2];
};

// tr(A B).
double trace_of(const Joint& joint, const Columns& A, const Columns& B) {
  double sum = 0;
  for (Index a = 0; a < 2; ++a) {
    for (Index b = 0; b < 2; ++b) {
      if (A.of[a].size() == 0 || B.of[b].size() == 0) continue;
      sum +=
          A.of[a]
              .middleRows(joint.begin(b), joint.size(b))
              .cwiseProduct(B.of[b].middleRows(joint.begin(a), joint.size(a)).transpose())
              .sum();
    }
  }
  return sum;
}

// Vi: V^-1, all of it; GHiA: G_c V^-1[X y].
void second_moments(const Joint& joint, const Matrix& Vi, const std::vector<Matrix>& GHiA,
                    Moments& out) {
  const Index count = joint.count();
  std::vector<Columns> ViG(at(count));
  for (Index t = 0; 3 * t < count; ++t) {
    for (Index a = 0; a < 2; ++a) {
      for (Index b = 0; b < 2; ++b)
        ViG[at(3 * t + a + b)].of[b] = joint.columns(Vi, t, a, b);
    }
  }
  out.traces.resize(count, count);
  out.WW.resize(at(count * count));
  for (Index c = 0; c < count; ++c) {
    Matrix ViGHiA = Matrix::Zero(Vi.rows(), GHiA[at(c)].cols());
    lapack::symm(Vi, GHiA[at(c)], ViGHiA);
    for (Index d = 0; d <= c; ++d) {
      out.traces(c, d) = out.traces(d, c) = trace_of(joint, ViG[at(c)], ViG[at(d)]);
      const Matrix WW = ViGHiA.transpose() * GHiA[at(d)];
      out.WW[at(c * count + d)] = WW;
      out.WW[at(d * count + c)] = WW.transpose();
    }
  }
}

}  // namespace

Moments joint_moments(const JointData& data, const ConstVectorRef& psi, Order order) {
  const Joint joint(data);
  Moments out;
  out.trace = Vector::Zero(joint.count());
  out.S = Matrix::Zero(data.Xy.cols(), data.Xy.cols());
  Matrix L = joint.covariance(psi);
  if (data.lift > 0 && data.Xy.cols() > 1)
    lapack::syrk(data.lift, data.Xy.leftCols(data.Xy.cols() - 1), 1, L);
  if (!lapack::cholesky(L) ||
      !(L.diagonal().minCoeff() > 1e-5 * L.diagonal().maxCoeff())) {
    out.logdet = infinity;
    return out;
  }
  out.logdet = 2 * L.diagonal().array().log().sum();
  Matrix Y = data.Xy;
  lapack::solve_lower(false, L, Y);
  out.S = Y.transpose() * Y;
  if (order == Order::value) return out;
  lapack::solve_lower(true, L, Y);  // now V^-1[X y]
  const std::vector<Matrix> GHiA = joint.products(Y);
  for (const Matrix& one : GHiA) out.W.push_back(Y.transpose() * one);
  if (order == Order::average) out.average = average_of(GHiA, Y, L, profile(out.S));
  lapack::cholesky_inverse(L);
  out.trace = joint.traces(L);
  if (order != Order::exact) return out;
  L.triangularView<Eigen::StrictlyUpper>() = L.transpose();
  second_moments(joint, L, GHiA, out);
  return out;
}

namespace {

// y'P G_c P G_d P y of moments of exact order.
double average_at(const Moments& moments, const Profiled& fixed, Index c, Index d) {
  const Index P = fixed.b.size() - 1, count = moments.trace.size();
  double out = fixed.b.dot(moments.WW[at(c * count + d)] * fixed.b);
  if (P > 0) {
    out -= (moments.W[at(c)] * fixed.b)
               .head(P)
               .dot(fixed.Q * (moments.W[at(d)] * fixed.b).head(P));
  }
  return out;
}

double expected_at(const Moments& moments, const Profiled& fixed, bool reml, Index c,
                   Index d) {
  const Index P = fixed.b.size() - 1, count = moments.trace.size();
  double out = moments.traces(c, d);
  if (!reml || P == 0) return out;
  const auto inner = [&](const Matrix& M) { return M.topLeftCorner(P, P); };
  out -= 2 * fixed.Q.cwiseProduct(inner(moments.WW[at(c * count + d)])).sum();
  const Matrix left = fixed.Q * inner(moments.W[at(c)]);
  const Matrix right = fixed.Q * inner(moments.W[at(d)]);
  return out + left.cwiseProduct(right.transpose()).sum();
}

}  // namespace

Evaluation joint_criterion(const Moments& moments, Index n, bool reml, Order order) {
  const Index P = moments.S.rows() - 1, count = moments.trace.size();
  Evaluation out;
  out.gradient = Vector::Zero(count);
  out.hessian = Matrix::Zero(count, count);
  out.value = infinity;
  if (!std::isfinite(moments.logdet)) return out;
  const Profiled fixed = profile(moments.S);
  if (!fixed.defined) return out;
  const double dof = static_cast<double>(reml ? n - P : n);
  out.value =
      moments.logdet + (reml ? fixed.logdet : 0) + fixed.s + dof * std::log(2 * M_PI);
  if (order == Order::value) return out;
  for (Index c = 0; c < count; ++c) {
    const Matrix& W = moments.W[at(c)];
    out.gradient[c] = moments.trace[c] - fixed.b.dot(W * fixed.b);
    if (reml && P > 0)
      out.gradient[c] -= fixed.Q.cwiseProduct(W.topLeftCorner(P, P)).sum();
  }
  if (order == Order::average) out.hessian = moments.average;
  if (order != Order::exact) return out;
  for (Index c = 0; c < count; ++c) {
    for (Index d = 0; d <= c; ++d) {
      out.hessian(c, d) = out.hessian(d, c) =
          2 * average_at(moments, fixed, c, d) - expected_at(moments, fixed, reml, c, d);
    }
  }
  return out;
}

Matrix joint_expected(const Moments& moments, bool reml) {
  const Index count = moments.trace.size();
  const Profiled fixed = profile(moments.S);
  Matrix out(count, count);
  for (Index c = 0; c < count; ++c) {
    for (Index d = 0; d < count; ++d) out(c, d) = expected_at(moments, fixed, reml, c, d);
  }
  return out;
}

namespace {

// T with T T' = V for a positive semi-definite V.
void pack_root(const Matrix2& V, Index t, Vector& theta) {
  const double a = std::sqrt(std::max(V(0, 0), 0.0));
  const double b = a > 0 ? V(1, 0) / a : 0;
  theta.segment(3 * t, 3) << a, b, std::sqrt(std::max(V(1, 1) - b * b, 0.0));
}

// Leaves a V_t on the boundary of its cone where the criterion falls inwards.
bool leave_boundary(const Covariance& covariance, const Vector& psi_gradient,
                    double tolerance, Vector& theta) {
  const Vector psi = covariance.psi(theta);
  bool left = false;
  for (Index t = 0; t < covariance.terms(); ++t) {
    const double off = psi_gradient[3 * t + 1] / 2;
    Matrix2 D;
    D << psi_gradient[3 * t], off, off, psi_gradient[3 * t + 2];
    const Eigen::SelfAdjointEigenSolver<Matrix2> eigen(D);
    if (eigen.eigenvalues()[0] >= -tolerance) continue;
    const Eigen::Vector2d v = eigen.eigenvectors().col(0);
    pack_root(covariance_of(psi, t) + 0.05 * v * v.transpose(), t, theta);
    left = true;
  }
  return left;
}

}  // namespace

JointOptimum joint_optimise(const MomentsAt& moments_of_psi, Index n, const Matrix& M,
                            const JointSettings& settings,
                            const std::vector<Vector>& starts) {
  const Covariance covariance(std::vector<int>(at(M.rows() / 3), 2));
  const bool free = M.rows() == M.cols();
  const auto evaluate = [&](const Vector& phi) {
    for (Index i : settings.positive) {
      if (phi[i] >= 0) continue;
      Evaluation out;
      out.value = infinity;
      out.gradient = Vector::Zero(phi.size());
      out.hessian = Matrix::Zero(phi.size(), phi.size());
      out.carried = Vector::Zero(M.rows());
      return out;
    }
    const Vector theta = M * phi;
    const Moments moments = moments_of_psi(covariance.psi(theta), settings.order);
    const Evaluation in_psi = joint_criterion(moments, n, settings.reml, settings.order);
    Evaluation out;
    out.value = in_psi.value;
    out.gradient = M.transpose() * covariance.gradient(theta, in_psi.gradient);
    out.hessian =
        M.transpose() * covariance.hessian(theta, in_psi.gradient, in_psi.hessian) * M;
    out.carried = in_psi.gradient;
    return out;
  };
  const Eigen::ColPivHouseholderQR<Matrix> into(M);
  JointOptimum best;
  best.at.value = infinity;
  int iterations = 0, evaluations = 0;
  for (const Vector& start : starts) {
    Vector phi = into.solve(start);
    for (Index i : settings.positive) phi[i] = std::max(std::abs(phi[i]), 0.05);
    for (int round = 0; round < 5; ++round) {
      const NewtonResult fit =
          minimise_newton(evaluate, phi, settings.tolerance, settings.max_iterations,
                          settings.order == Order::average);
      iterations += fit.iterations;
      evaluations += fit.evaluations;
      // with a singular kernel the criterion may fall without end to a singular V_e
      const bool better = fit.converged == best.converged
                              ? fit.at.value < best.at.value - 1e-9
                              : fit.converged;
      if (best.phi.size() == 0 || better) {
        best.phi = fit.x;
        best.at = fit.at;
        best.converged = fit.converged;
      }
      phi = fit.x;
      if (!free || !leave_boundary(covariance, fit.at.carried, 1e-5, phi)) break;
    }
  }
  best.theta = M * best.phi;
  best.psi = covariance.psi(best.theta);
  best.psi_gradient = best.at.carried;
  best.iterations = iterations;
  best.evaluations = evaluations;
  best.starts = static_cast<int>(starts.size());
  return best;
}

}  // namespace kinlmm
