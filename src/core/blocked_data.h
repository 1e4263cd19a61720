// Cross-products of [Z X y] for i.i.d. random effects of any number of grouping factors:
// all that core/blocked.h needs to know of the records.
#pragma once

#include <vector>

#include "core/types.h"

namespace kinlmm {

struct Factor {
  Index q = 0;             // levels
  Index k = 0;             // effects per level
  std::vector<int> terms;  // of the covariance, whose columns stand side by side
};

struct BlockedData {
  Index n = 0;                  // records
  Index p = 0;                  // fixed effects
  std::vector<int> sizes;       // of the terms, in the order of theta
  std::vector<Factor> factors;  // that to be eliminated comes first
  // of the first factor, class by class; a class without a rest may stand for many levels
  Matrix A;                // k x k classes, Z_j'Z_j
  std::vector<int> count;  // levels of the class
  std::vector<int> slice;  // classes + 1: where its slices of B begin
  Matrix B;  // k x (p+1) slices, Z_j'[X y]; the slices of a class have its cross-product
  // of the first factor with the rest, level by level
  std::vector<int>
      start;  // q + 1: where the columns of a level begin, empty without a rest
  std::vector<int> column;  // of the rest, increasing within a level
  Matrix cross;             // k x columns
  // of the rest
  SparseMatrix rest;  // r x r, lower triangle of Z'Z
  Matrix rest_Xy;     // r x (p+1)
  Matrix C;           // (p+1) x (p+1), [X y]'[X y]

  Index classes() const { return static_cast<Index>(count.size()); }
  Index rest_size() const { return rest_Xy.rows(); }
};

// Rows of one factor: its levels (0-based) and Z (n x k).
struct FactorRows {
  std::vector<int> level;
  Index q = 0;
  Matrix Z;
};

// Cross-products. Rows are taken as they are: weights have been multiplied in by the
// caller. The order of the factors is that of elimination.
BlockedData blocked_data(const std::vector<FactorRows>& rows, const ConstMatrixRef& Xy);

// Where the effects of each factor begin in the rest; the first is not there. Behind them
// the number of all.
std::vector<Index> rest_offsets(const std::vector<Factor>& factors);

// Where a component of the covariances (see covariance.h) stands: an element on or below
// the diagonal of Psi_f.
struct Component {
  std::size_t factor;
  Index row, col;  // within the level
};
std::vector<Component> factor_components(const BlockedData& data);

// Levels of a single factor with equal Z_j'Z_j, class by class.
struct LevelClasses {
  std::vector<Index> level;  // q
  std::vector<Index> start;  // classes + 1: where a class begins among them
};
LevelClasses level_classes(const BlockedData& data);

// The same data with the levels of a class as one; the data as they are where there are
// several factors.
BlockedData merged_levels(const BlockedData& data);
BlockedData merged_levels(const BlockedData& data, const LevelClasses& classes);

}  // namespace kinlmm
