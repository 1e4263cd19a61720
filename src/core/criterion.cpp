#include "core/criterion.h"

#include <Eigen/Cholesky>
#include <cmath>
#include <limits>

namespace kinlmm {

// M_PI is not of the standard
constexpr double two_pi = 6.283185307179586;

ProfiledFixed profiled_fixed(const Matrix& S) {
  const Index p = S.rows() - 1;
  ProfiledFixed out;
  if (p == 0) {
    out.s = S(0, 0);
    return out;
  }
  const Eigen::LLT<Matrix> llt(S.topLeftCorner(p, p));
  out.beta = llt.solve(S.col(p).head(p));
  out.unscaled = llt.solve(Matrix::Identity(p, p));
  const Matrix L = llt.matrixL();
  if (llt.info() != Eigen::Success) return out;
  out.logdet = 2 * L.diagonal().array().log().sum();
  // half-way through the elimination, so that the subtraction is a sum of squares
  const Vector half = L.triangularView<Eigen::Lower>().solve(S.col(p).head(p));
  out.s = S(p, p) - half.squaredNorm();
  return out;
}

Evaluation profiled_criterion(const Moments& m, Index n, bool reml, Order order) {
  const Index p = m.S.rows() - 1, count = m.trace.size();
  const double dof = static_cast<double>(reml ? n - p : n);
  Evaluation out;
  out.gradient = Vector::Zero(count);
  out.hessian = Matrix::Zero(count, count);
  const ProfiledFixed fixed = profiled_fixed(m.S);
  if (!(fixed.s > 0)) {
    out.value = std::numeric_limits<double>::infinity();
    return out;
  }
  out.value =
      m.logdet + dof * (1 + std::log(two_pi * fixed.s / dof)) + (reml ? fixed.logdet : 0);
  if (order == Order::value) return out;

  Vector a(p + 1);  // y - X beta = [X y] a
  a.head(p) = -fixed.beta;
  a(p) = 1;
  Vector first(count);  // y'P G_c P y
  Matrix cross(p, count);
  std::vector<Matrix> QW(static_cast<std::size_t>(count));
  for (Index c = 0; c < count; ++c) {
    const auto at = static_cast<std::size_t>(c);
    const Vector Wa = m.W[at] * a;
    first(c) = a.dot(Wa);
    cross.col(c) = Wa.head(p);
    out.gradient(c) = m.trace(c) - dof * first(c) / fixed.s;
    if (!reml || p == 0) continue;
    QW[at] = fixed.unscaled * m.W[at].topLeftCorner(p, p);
    out.gradient(c) -= QW[at].trace();
  }
  const Matrix through = fixed.unscaled * cross;
  for (Index c = 0; c < count; ++c) {
    for (Index d = 0; d <= c; ++d) {
      const double slopes = (first(c) / fixed.s) * (first(d) / fixed.s);
      if (order == Order::average) {
        out.hessian(c, d) = dof * (m.average(c, d) / fixed.s - slopes);
      } else if (order == Order::exact) {
        const Matrix& WW = m.WW[static_cast<std::size_t>(c * count + d)];
        const double quadratic = a.dot(WW * a) - cross.col(c).dot(through.col(d));
        double trace = m.traces(c, d);
        if (reml && p > 0) {
          const auto C = static_cast<std::size_t>(c), D = static_cast<std::size_t>(d);
          trace += QW[C].cwiseProduct(QW[D].transpose()).sum() -
                   2 * fixed.unscaled.cwiseProduct(WW.topLeftCorner(p, p)).sum();
        }
        out.hessian(c, d) = -trace + dof * (2 * quadratic / fixed.s - slopes);
      }
      out.hessian(d, c) = out.hessian(c, d);
    }
  }
  return out;
}

Point profiled_criterion(const RatioMoments& m, Index n, bool reml, double tau) {
  const Index p = m.S.rows() - 1;
  const double dof = static_cast<double>(reml ? n - p : n);
  Point out;
  out.x = tau;
  const ProfiledFixed fixed = profiled_fixed(m.S);
  if (!(fixed.s > 0)) {
    out.value = std::numeric_limits<double>::infinity();
    return out;
  }
  Vector c(p + 1);
  c.head(p) = -fixed.beta;
  c(p) = 1;
  const Vector S1c = m.S1 * c;
  const double s1 = c.dot(S1c);
  const double s2 = c.dot(m.S2 * c) - 2 * S1c.head(p).dot(fixed.unscaled * S1c.head(p));
  out.value = m.logdet + dof * (1 + std::log(two_pi * fixed.s / dof));
  out.first = m.logdet1 + dof * s1 / fixed.s;
  out.second = m.logdet2 + dof * (s2 / fixed.s - (s1 / fixed.s) * (s1 / fixed.s));
  if (reml && p > 0) {
    const Matrix QS1 = fixed.unscaled * m.S1.topLeftCorner(p, p);
    out.value += fixed.logdet;
    out.first += QS1.trace();
    out.second +=
        (fixed.unscaled * m.S2.topLeftCorner(p, p)).trace() - (QS1 * QS1).trace();
  }
  return out;
}

}  // namespace kinlmm
