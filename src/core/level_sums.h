// One i.i.d. random effect z per level of one grouping factor: the levels are an
// eigenbasis of Z Z' (core/rotated.h), and levels with equal eigenvalues are one class.
#pragma once

#include <vector>

#include "core/types.h"

namespace kinlmm {

struct LevelSums {
  Vector d;       // q, z'z within a level
  Matrix sums;    // q x m, z'[Xy] / sqrt(d), zero where d is
  Matrix within;  // m x m, cross-product of what of Xy is beside z in every level
};

// Xy: n x m; z: n; code: n, the levels, from 1 to q.
LevelSums level_sums(const ConstMatrixRef& Xy, const ConstVectorRef& z, const int* code,
                     Index q);

// Rows with the same d replaced by at most m with the same cross-product.
struct MergedLevels {
  Vector d;      // rows
  Matrix sums;   // rows x m
  Vector count;  // rows, how many levels each stands for: those of the class, or zero
};
MergedLevels merge_levels(const ConstVectorRef& d, const ConstMatrixRef& sums);

}  // namespace kinlmm
