// Is a matrix what a relationship matrix has to be, in one pass over it.
#pragma once

#include "core/types.h"

namespace kinlmm {

struct Symmetry {
  double largest = 0;     // absolute value, of the finite ones
  double difference = 0;  // largest |K_ij - K_ji|, at
  Index row = 0, column = 0;
  Index not_finite = 0;  // NaN or infinite values
};

// K is n x n.
Symmetry check_symmetry(const ConstMatrixRef& K);

}  // namespace kinlmm
