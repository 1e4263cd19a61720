#include "core/rotated.h"

#include <cmath>
#include <limits>

namespace kinlmm {

namespace {

// With the intercept, where the criterion needs it, as the last column: from its own
// moment log|H| gains log(c'H^-1 c).
RatioMoments diagonal_moments(const RotatedData& data, double tau, const Matrix& Xy) {
  const Eigen::ArrayXd d = data.d.array();
  const Eigen::ArrayXd w = 1 / (tau * d + 1);
  const Eigen::ArrayXd w1 = -d * w.square();
  const Eigen::ArrayXd w2 = 2 * d.square() * w.cube();
  const Eigen::ArrayXd count = data.count.size() > 0 ? Eigen::ArrayXd(data.count.array())
                                                     : Eigen::ArrayXd::Ones(d.size());
  RatioMoments m;
  m.logdet = (count * (tau * d).log1p()).sum();
  m.logdet1 = (count * d * w).sum();
  m.logdet2 = -(count * (d * w).square()).sum();
  m.S = Xy.transpose() * w.matrix().asDiagonal() * Xy;
  m.S1 = Xy.transpose() * w1.matrix().asDiagonal() * Xy;
  m.S2 = Xy.transpose() * w2.matrix().asDiagonal() * Xy;
  return m;
}

RatioMoments tridiagonal_moments(const RotatedData& data, double tau, const Matrix& Xy) {
  const Tridiagonal T{data.d, data.beside};
  const TridiagonalFactor factor(T, tau);
  RatioMoments m;
  m.S = m.S1 = m.S2 = Matrix::Zero(Xy.cols(), Xy.cols());
  m.logdet = std::numeric_limits<double>::infinity();
  if (!factor.positive()) return m;
  m.logdet = factor.logdet();
  m.logdet1 = factor.logdet1();
  m.logdet2 = factor.logdet2();
  const Matrix half = factor.half(Xy);
  const Matrix HiXy = factor.back(half), THiXy = product(T, HiXy);
  const Matrix second = factor.half(THiXy);
  m.S = half.transpose() * half;
  m.S1 = -HiXy.transpose() * THiXy;
  m.S2 = 2 * second.transpose() * second;
  return m;
}

}  // namespace

RatioMoments rotated_moments(const RotatedData& data, double tau) {
  const Index width = data.Xy.cols();
  const bool centred = data.intercept.size() > 0;
  Matrix Xy(data.Xy.rows(), width + (centred ? 1 : 0));
  Xy.leftCols(width) = data.Xy;
  if (centred) Xy.col(width) = data.intercept;
  RatioMoments m = data.beside.size() > 0 ? tridiagonal_moments(data, tau, Xy)
                                          : diagonal_moments(data, tau, Xy);
  if (centred) {
    const double s = m.S(width, width), s1 = m.S1(width, width), s2 = m.S2(width, width);
    m.logdet += std::log(s);
    m.logdet1 += s1 / s;
    m.logdet2 += s2 / s - (s1 / s) * (s1 / s);
    for (Matrix* one : {&m.S, &m.S1, &m.S2}) {
      *one = one->topLeftCorner(width, width).eval();
    }
  }
  m.S += data.within;
  return m;
}

// By rows of H = L D L' (see TridiagonalFactor). Logarithms are those of products of
// pivots, as one costs more than the rest of the row.
RatioValue rotated_value(const RotatedData& data, double tau) {
  const Index m = data.d.size(), width = data.Xy.cols();
  const bool tridiagonal = data.beside.size() > 0, merged = data.count.size() > 0;
  RatioValue out;
  out.S = data.within;
  Matrix rows = data.Xy.transpose();
  double product = 1, pivot = 1;
  for (Index i = 0; i < m; ++i) {
    double next = 1 + tau * data.d[i];
    if (tridiagonal && i > 0) {
      const double below = tau * data.beside[i - 1] / pivot;
      next -= tau * data.beside[i - 1] * below;
      rows.col(i) -= below * rows.col(i - 1);
    }
    if (!(next > 0)) {
      out.logdet = std::numeric_limits<double>::infinity();
      return out;
    }
    pivot = next;
    for (Index b = 0; b < width; ++b) {
      const double scaled = rows(b, i) / pivot;
      for (Index a = b; a < width; ++a) out.S(a, b) += rows(a, i) * scaled;
    }
    if (merged) {
      out.logdet += data.count[i] * std::log(pivot);
      continue;
    }
    product *= pivot;
    if (product > 1e100 || product < 1e-100 || i + 1 == m) {
      out.logdet += std::log(product);
      product = 1;
    }
  }
  out.S.triangularView<Eigen::StrictlyUpper>() = out.S.transpose();
  return out;
}

Matrix rotated_solve(const RotatedData& data, double tau, const ConstMatrixRef& B) {
  if (data.beside.size() == 0) {
    return (tau * data.d.array() + 1).inverse().matrix().asDiagonal() * B;
  }
  const TridiagonalFactor factor({data.d, data.beside}, tau);
  return factor.back(factor.half(B));
}

Point rotated_criterion(const RotatedData& data, bool reml, double tau) {
  return profiled_criterion(rotated_moments(data, tau), data.n, reml, tau);
}

IntervalMinimum fit_rotated(const RotatedData& data, bool reml) {
  std::vector<double> grid;
  for (double ratio = 1e-6; ratio < 0.9 * data.upper; ratio *= 3.1622776601683795) {
    grid.push_back(ratio / data.unit);
  }
  grid.push_back(data.upper / data.unit);
  return minimise_on_interval(
      [&](double tau) { return rotated_criterion(data, reml, tau); }, grid);
}

}  // namespace kinlmm
