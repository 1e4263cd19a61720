// Genotypes for tests.
#pragma once

#include <limits>
#include <numeric>
#include <vector>

#include "core/types.h"

const double kMissing = std::numeric_limits<double>::quiet_NaN();

// 0, ..., count - 1.
inline std::vector<kinlmm::Index> all(kinlmm::Index count) {
  std::vector<kinlmm::Index> out(static_cast<std::size_t>(count));
  std::iota(out.begin(), out.end(), kinlmm::Index(0));
  return out;
}

// n x m counts with a few missing; every fifth marker is monomorphic.
inline kinlmm::Matrix counts_with_missing(kinlmm::Index n, kinlmm::Index m,
                                          unsigned state) {
  kinlmm::Matrix X(n, m);
  for (kinlmm::Index j = 0; j < m; ++j) {
    for (kinlmm::Index i = 0; i < n; ++i) {
      state = state * 1664525u + 1013904223u;
      X(i, j) = j % 5 == 4 ? 1 : static_cast<double>((state >> 16) % 3);
      if ((state >> 8) % 29 == 0) X(i, j) = kMissing;
    }
  }
  return X;
}
