// Pairs of a relationship matrix: what they are like, which are related, and which
// families the related ones make.
#pragma once

#include <vector>

#include "core/types.h"

namespace kinlmm {

// Of the elements below the diagonal; 0 where there are none.
struct PairSummary {
  double smallest = 0, largest = 0, mean = 0;
  std::vector<Index> reaching;  // how many are at least as large as each of the limits
};

// K is n x n and symmetric, here and below.
PairSummary summarise_pairs(const ConstMatrixRef& K, const Vector& limits);

// Elements below the diagonal by columns: row > column.
struct Relatives {
  std::vector<int> row, column;
  std::vector<double> value;
};

// Those of at least `threshold`.
Relatives find_relatives(const ConstMatrixRef& K, double threshold);

// The family, 0, 1, ..., of each of n: those that pairs connect. Families are numbered by
// their first member.
std::vector<int> find_families(Index n, const std::vector<int>& row,
                               const std::vector<int>& column);

// 1 - K_ij / sqrt(K_ii K_jj) below the diagonal, by columns: n(n - 1)/2. 1 where a
// diagonal element is not positive.
void pair_distances(const ConstMatrixRef& K, double* out);

// Means over cells x cells groups of neighbours in `order`, without the diagonal where a
// group has several members. cells <= n.
Matrix cell_means(const ConstMatrixRef& K, const std::vector<int>& order, Index cells);

}  // namespace kinlmm
