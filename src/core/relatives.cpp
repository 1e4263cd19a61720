#include "core/relatives.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace kinlmm {

PairSummary summarise_pairs(const ConstMatrixRef& K, const Vector& limits) {
  const Index n = K.rows();
  PairSummary out;
  out.reaching.assign(static_cast<std::size_t>(limits.size()), 0);
  if (n < 2) return out;
  out.smallest = out.largest = K(1, 0);
  double sum = 0;
  for (Index j = 0; j + 1 < n; ++j) {
    const auto below = K.col(j).tail(n - j - 1);
    sum += below.sum();
    out.smallest = std::min(out.smallest, below.minCoeff());
    out.largest = std::max(out.largest, below.maxCoeff());
    for (Index l = 0; l < limits.size(); ++l) {
      out.reaching[static_cast<std::size_t>(l)] += (below.array() >= limits[l]).count();
    }
  }
  out.mean = sum / (0.5 * static_cast<double>(n) * static_cast<double>(n - 1));
  return out;
}

Relatives find_relatives(const ConstMatrixRef& K, double threshold) {
  Relatives out;
  for (Index j = 0; j < K.cols(); ++j) {
    for (Index i = j + 1; i < K.rows(); ++i) {
      if (!(K(i, j) >= threshold)) continue;
      out.row.push_back(static_cast<int>(i));
      out.column.push_back(static_cast<int>(j));
      out.value.push_back(K(i, j));
    }
  }
  return out;
}

std::vector<int> find_families(Index n, const std::vector<int>& row,
                               const std::vector<int>& column) {
  std::vector<int> root(static_cast<std::size_t>(n));
  std::iota(root.begin(), root.end(), 0);
  const auto at = [&root](int i) -> int& { return root[static_cast<std::size_t>(i)]; };
  const auto find = [&at](int i) {
    while (at(i) != i) i = at(i) = at(at(i));
    return i;
  };
  for (std::size_t pair = 0; pair < row.size(); ++pair) {
    const int a = find(row[pair]), b = find(column[pair]);
    at(std::max(a, b)) = std::min(a, b);
  }
  // a root is the first of its family
  std::vector<int> family(root.size());
  int count = 0;
  for (int i = 0; i < static_cast<int>(n); ++i) {
    const int first = find(i);
    family[static_cast<std::size_t>(i)] =
        first == i ? count++ : family[static_cast<std::size_t>(first)];
  }
  return family;
}

void pair_distances(const ConstMatrixRef& K, double* out) {
  const Index n = K.rows();
  const Vector scale =
      K.diagonal().unaryExpr([](double d) { return d > 0 ? 1 / std::sqrt(d) : 0.0; });
  for (Index j = 0; j < n; ++j) {
    for (Index i = j + 1; i < n; ++i) *out++ = 1 - K(i, j) * scale[i] * scale[j];
  }
}

Matrix cell_means(const ConstMatrixRef& K, const std::vector<int>& order, Index cells) {
  const Index n = static_cast<Index>(order.size());
  const auto cell = [&](Index place) { return place * cells / n; };
  Vector size = Vector::Zero(cells);
  for (Index a = 0; a < n; ++a) size[cell(a)] += 1;
  Matrix sums = Matrix::Zero(cells, cells);
  for (Index b = 0; b < n; ++b) {
    const auto column = K.col(order[static_cast<std::size_t>(b)]);
    for (Index a = 0; a < n; ++a) {
      if (a == b && size[cell(a)] > 1) continue;
      sums(cell(a), cell(b)) += column[order[static_cast<std::size_t>(a)]];
    }
  }
  Matrix counts = size * size.transpose();
  for (Index c = 0; c < cells; ++c) {
    if (size[c] > 1) counts(c, c) -= size[c];
  }
  return sums.cwiseQuotient(counts);
}

}  // namespace kinlmm
