#include "core/level_sums.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace kinlmm {

LevelSums level_sums(const ConstMatrixRef& Xy, const ConstVectorRef& z, const int* code,
                     Index q) {
  const Index n = Xy.rows(), m = Xy.cols();
  LevelSums out;
  out.d = Vector::Zero(q);
  Matrix sums = Matrix::Zero(m, q);  // a level's sums together
  for (Index i = 0; i < n; ++i) out.d[code[i] - 1] += z[i] * z[i];
  for (Index i = 0; i < n; ++i) sums.col(code[i] - 1) += z[i] * Xy.row(i).transpose();
  // a level whose z is zero throughout has no part in the basis
  const Vector unit =
      (out.d.array() > 0).select(out.d.array().sqrt().inverse(), 0.0).matrix();
  sums = sums * unit.asDiagonal();
  out.within = Matrix::Zero(m, m);
  const Index block = 512;
  Matrix beside(m, block);
  for (Index from = 0; from < n; from += block) {
    const Index size = std::min(block, n - from);
    for (Index i = 0; i < size; ++i) {
      const Index at = code[from + i] - 1;
      beside.col(i) =
          Xy.row(from + i).transpose() - z[from + i] * unit[at] * sums.col(at);
    }
    out.within.selfadjointView<Eigen::Lower>().rankUpdate(beside.leftCols(size));
  }
  out.within = Matrix(out.within.selfadjointView<Eigen::Lower>());
  out.sums = sums.transpose();
  return out;
}

MergedLevels merge_levels(const ConstVectorRef& d, const ConstMatrixRef& sums) {
  const Index q = d.size(), m = sums.cols();
  std::vector<Index> order(static_cast<std::size_t>(q));
  std::iota(order.begin(), order.end(), Index{0});
  const auto less = [&](Index a, Index b) { return d[a] < d[b]; };
  std::stable_sort(order.begin(), order.end(), less);
  MergedLevels out{Vector(q), Matrix(q, m), Vector::Zero(q)};
  Index rows = 0;
  for (auto from = order.begin(), to = from; from != order.end(); from = to) {
    to = std::upper_bound(from, order.end(), *from, less);
    const Index count = to - from, kept = std::min(count, m);
    Matrix members(count, m);
    for (Index i = 0; i < count; ++i) members.row(i) = sums.row(from[i]);
    if (count > m) {
      const Eigen::HouseholderQR<Matrix> qr(members);
      members = Matrix(qr.matrixQR().topRows(m).triangularView<Eigen::Upper>());
    }
    out.sums.middleRows(rows, kept) = members;
    out.d.segment(rows, kept).setConstant(d[*from]);
    out.count[rows] = static_cast<double>(count);
    rows += kept;
  }
  out.d.conservativeResize(rows);
  out.sums.conservativeResize(rows, m);
  out.count.conservativeResize(rows);
  return out;
}

}  // namespace kinlmm
