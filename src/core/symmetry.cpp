#include "core/symmetry.h"

#include <algorithm>
#include <cmath>

namespace kinlmm {

Symmetry check_symmetry(const ConstMatrixRef& K) {
  constexpr Index kTile = 64;  // a tile and its mirror image fit into the cache
  const Index n = K.rows();
  Symmetry out;
  const auto look = [&out](double value) {
    if (std::isfinite(value)) {
      out.largest = std::max(out.largest, std::abs(value));
    } else {
      ++out.not_finite;
    }
  };
  for (Index right = 0; right < n; right += kTile) {
    for (Index down = right; down < n; down += kTile) {
      for (Index j = right; j < std::min(n, right + kTile); ++j) {
        for (Index i = std::max(down, j); i < std::min(n, down + kTile); ++i) {
          look(K(i, j));
          if (i == j) continue;
          look(K(j, i));
          const double difference = std::abs(K(i, j) - K(j, i));
          if (difference > out.difference) {
            out.difference = difference;
            out.row = i;
            out.column = j;
          }
        }
      }
    }
  }
  return out;
}

}  // namespace kinlmm
