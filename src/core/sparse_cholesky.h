// The Cholesky factor of sparse symmetric positive definite matrices A of one pattern,
// and their inverses on it. Multifrontal: columns of L with the same pattern, or nearly
// so, are one front, and the work on it is that of dense matrices.
#pragma once

#include <vector>

#include "core/types.h"

namespace kinlmm {

class SparseCholesky {
 public:
  // pattern: lower triangle of A, n x n, with all of its diagonal and sorted columns.
  // position: what position() was of one with this pattern, if that is known.
  explicit SparseCholesky(const SparseMatrix& pattern, std::vector<int> position = {});

  // Of the rows of A in the order of elimination.
  const std::vector<int>& position() const { return position_; }

  // A = P'L L'P. values: of the elements of the pattern, in their order. False where A is
  // not positive definite in double precision.
  bool factor(const double* values);
  double logdet() const;  // log|A|
  // The smallest pivot relative to the diagonal: what the rows before leave of an
  // element.
  double weakest_pivot() const;
  // Elements of L, of which some are zeros by construction.
  double size() const { return static_cast<double>(value_.size()); }

  Matrix half(const ConstMatrixRef& B) const;  // L^-1 P B, n x any
  Matrix back(const ConstMatrixRef& B) const;  // P'L^-T B: half of A^-1
  Matrix solve(const ConstMatrixRef& B) const { return back(half(B)); }

  // Makes A^-1 available on the pattern of L; size() more numbers.
  void invert();
  // Element e of the pattern of A.
  double inverse(std::size_t e) const { return inverse_[place_[e]]; }
  // Of A^-1, false where the element is not on the pattern of L.
  bool inverse_at(Index row, Index column, double& out) const;

 private:
  struct Front {
    int first, width;         // its columns, in the order of elimination
    std::size_t rows, below;  // where its further rows begin, and how many they are
    std::size_t values;       // where its (width + below) x width panel begins
    int parent;
  };

  void order(const SparseMatrix& pattern);
  void find_fronts(const std::vector<int>& parent, const std::vector<int>& count);
  void find_rows(const SparseMatrix& upper);
  std::size_t place_of(int row, int column) const;
  void lower_half(const Front& front, Matrix& X) const;
  void upper_half(const Front& front, Matrix& X) const;
  void eliminate(std::size_t f, std::vector<Matrix>& updates);
  void invert_front(std::size_t f, const Matrix& above, Matrix& whole);

  Index n_ = 0;
  std::vector<int> position_;
  std::vector<Front> fronts_;  // children before parents
  std::vector<int> front_of_;  // of each column
  std::vector<std::vector<int>> children_;
  std::vector<int> rows_;              // of the fronts, below their columns, increasing
  std::vector<int> within_;            // where these are in the parent, its columns first
  std::vector<std::size_t> place_;     // of the elements of A
  std::vector<std::size_t> diagonal_;  // n, elements of A in the order of elimination
  std::vector<double> value_, inverse_, own_;  // own_: the diagonal of A
};

}  // namespace kinlmm
