#include "core/criterion.h"

#include <Eigen/Cholesky>
#include <cmath>
#include <limits>

namespace kinlmm {

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

Point profiled_criterion(const Moments& m, Index n, bool reml, double tau) {
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
  out.value = m.logdet + dof * (1 + std::log(2 * M_PI * fixed.s / dof));
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
