// Relationship matrices in the files of other programs, read and written row by row: no
// second matrix is held. Numbers in binary files are little-endian on every machine.
#pragma once

#include <functional>
#include <string>

#include "core/bytes.h"
#include "core/monitor.h"
#include "core/types.h"

namespace kinlmm {

// What the rows of a file hold: up to the diagonal, or all.
enum class KinshipLayout { triangle, square };
// Bytes of a number.
enum class NumberWidth { single = 4, twice = 8 };

// Below, K is n x n. Matrices that the file has only one half of come back whole; a
// square is taken as it stands, unless all right of the diagonal is zero. Errors thrown:
//   kin_short (row)                     the source ends within this row, 1-based
//   kin_value (row, column, value)      a value is not finite
//   text_number, text_end               see NumberReader
//   kin_fields (line, got, expected)    a line has another number of numbers
//   kin_rows (got, expected)            the file has fewer or more rows (got is then
//                                       expected + 1)

void read_binary_kinship(ByteSource& source, KinshipLayout layout, NumberWidth width,
                         MatrixRef K, Monitor& monitor);

// Rows of text of either layout, which the first line shows. X of n x k is a square only
// if triangle is not allowed.
void read_text_matrix(ByteSource& source, bool triangle_allowed, MatrixRef X,
                      Monitor& monitor);

// Numbers of SNPs per pair: `first` while they are all the same, and a matrix that
// `make` gives (n x n, by column) once they differ.
class PairCounts {
 public:
  PairCounts(Index n, std::function<double*()> make) : n_(n), make_(std::move(make)) {}
  void set(Index i, Index j, double value);
  double first() const { return first_; }
  bool differ() const { return all_ != nullptr; }

 private:
  Index n_;
  std::function<double*()> make_;
  double first_ = -1;  // none yet
  double* all_ = nullptr;
};

// Counts of a triangle of float32. Throws also kin_count (row, column, value): negative
// or not finite.
void read_binary_counts(ByteSource& source, Index n, PairCounts& counts,
                        Monitor& monitor);

// Lines of i, j, the number of SNPs and the value, in any order, every pair once. Throws
// also kin_pair (line, i, j) if one of them is no number of a sample or the pair is there
// twice, kin_count as above.
void read_pairs(ByteSource& source, MatrixRef K, PairCounts& counts, Monitor& monitor);

// K is symmetric and finite. Throws kin_value for a value beyond the range of the width.
void write_binary_kinship(const ConstMatrixRef& K, KinshipLayout layout,
                          NumberWidth width, ByteSink& sink, Monitor& monitor);
// The same number for every pair.
void write_constant_counts(Index n, double count, ByteSink& sink, Monitor& monitor);
// Tabs between numbers, a line feed after every row.
void write_text_matrix(const ConstMatrixRef& X, KinshipLayout layout, ByteSink& sink,
                       Monitor& monitor);
// counts: n x n, or 1 x 1 if all pairs share it.
void write_pairs(const ConstMatrixRef& K, const ConstMatrixRef& counts, ByteSink& sink,
                 Monitor& monitor);

}  // namespace kinlmm
