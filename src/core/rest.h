// The Schur complement of the random effects that are not eliminated level by level, r in
// all: with N = Z'H_1^-1 Z (H_1 the covariance without them) and T their block-diagonal
// factor, S = I + T'N T is factored, and M = T S^-1 T' is what everything needs: none of
// it asks for T to be invertible.
#pragma once

#include <memory>
#include <vector>

#include "core/types.h"

namespace kinlmm {

// A block of T: q times the same k x k.
struct RestBlock {
  Index q, k;
};

class Rest {
 public:
  virtual ~Rest() = default;

  // N = Z'Z less what the levels of the eliminated factor take: N[columns, columns] -=
  // K'K for the columns of a level (those given to make_rest()) and its part K of K_all
  // (k x all columns). The sums do not depend on the number of threads.
  virtual void complement(const Matrix& K_all, int threads) = 0;
  // Factors S. T: k x k for each block. Returns log|S|, infinite where S is not
  // positive definite in double precision.
  virtual double factor(const std::vector<Matrix>& T) = 0;
  // Makes M available to multiply_M(), at() and whitened_blocks().
  virtual void invert() = 0;
  virtual Matrix multiply_N(const Matrix& B) const = 0;  // N B
  virtual Matrix multiply_M(const Matrix& B) const = 0;  // M B
  // L^-1 T'B, with S = L L' up to a permutation: B'M B is its cross-product.
  virtual Matrix half(const Matrix& B) const = 0;
  // M[columns, columns], for increasing columns of one level or of one record.
  virtual void at(const int* columns, Index size, Matrix& out) const = 0;
  // Diagonal blocks of N - N M N = Z'H^-1 Z, k x k q of block b.
  virtual Matrix whitened_blocks(std::size_t b) const = 0;

  virtual bool dense() const = 0;
  // Columns that are worth multiplying at a time.
  Index panel() const { return dense() ? 512 : 64; }
};

// Dense where r is small or the complement fills up, sparse otherwise. ZZ is the lower
// triangle of Z'Z; `start` and `column` as in blocked_data.h. All but the blocks must
// outlive the result.
std::unique_ptr<Rest> make_rest(const SparseMatrix& ZZ,
                                const std::vector<RestBlock>& blocks,
                                const std::vector<int>& start,
                                const std::vector<int>& column);

}  // namespace kinlmm
