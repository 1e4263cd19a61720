// Products of standardised genotypes with thin matrices, from the counts themselves.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "core/gram.h"
#include "core/types.h"

namespace kinlmm {

// The columns z of a matrix Z (n x b), one per marker: counts, of which z is a function,
// or the z themselves.
struct ThinBlock {
  Index n = 0;
  std::vector<const std::uint8_t*> counts;    // b, each n counts; empty if z are given
  std::vector<std::array<double, 4>> values;  // b: z of 0, 1 and 2 copies and if missing
  std::vector<const double*> columns;         // b, each n values of z; empty for counts
  Index size() const {
    return static_cast<Index>(counts.empty() ? columns.size() : counts.size());
  }
};

// A matrix by rows, which are filled up with zeros as the kernels want them.
template <class Value>
struct ThinRows {
  ThinRows(Index rows, Index columns);
  explicit ThinRows(const ConstMatrixRef& X);
  Matrix matrix() const;  // rows x columns

  Index rows, columns, width;
  std::vector<Value> data;
};

// T = Z'X and Y += Z T, with X n x c, T b x c and Y n x c. Value: in which the products
// are computed; sums are carried in it over some hundred terms, and beyond in double. The
// result depends on the instructions by rounding, and not on threads.
template <class Value>
void add_thin_products(const ThinBlock& Z, const ThinRows<Value>& X, Instructions with,
                       int threads, ThinRows<double>& T, ThinRows<double>& Y);

}  // namespace kinlmm
