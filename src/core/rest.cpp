#include "core/rest.h"

#include <Eigen/SparseCholesky>
#include <algorithm>
#include <limits>
#include <numeric>

#include "core/lapack.h"
#include "core/parallel.h"

namespace kinlmm {

namespace {

constexpr double not_positive_definite = std::numeric_limits<double>::infinity();

struct Placed {
  Index first, q, k;
};

std::vector<Placed> place(const std::vector<RestBlock>& blocks) {
  std::vector<Placed> out;
  Index first = 0;
  for (const RestBlock& block : blocks) {
    out.push_back({first, block.q, block.k});
    first += block.q * block.k;
  }
  return out;
}

// B = T B, or T'B, for every level of every block.
void apply_T(const std::vector<Placed>& blocks, const std::vector<Matrix>& T,
             bool transpose, MatrixRef B) {
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    const Placed& block = blocks[b];
    const Matrix op = transpose ? Matrix(T[b].transpose()) : T[b];
    if (block.k == 1) {
      B.middleRows(block.first, block.q) *= op(0, 0);
      continue;
    }
    for (Index l = 0; l < block.q; ++l) {
      auto rows = B.middleRows(block.first + l * block.k, block.k);
      rows = (op * rows).eval();
    }
  }
}

// The lower triangle of T A T', or of T'A T, from that of A.
void congruence(const std::vector<Placed>& blocks, const std::vector<Matrix>& T,
                bool transpose, Matrix& A) {
  for (std::size_t g = 0; g < blocks.size(); ++g) {
    const Placed& right = blocks[g];
    const Matrix op_g = transpose ? T[g] : Matrix(T[g].transpose());
    for (Index m = 0; m < right.q; ++m) {
      const Index column = right.first + m * right.k;
      // the block on the diagonal is whole where its lower triangle is
      auto own = A.block(column, column, right.k, right.k);
      own.triangularView<Eigen::StrictlyUpper>() = own.transpose();
      for (std::size_t f = g; f < blocks.size(); ++f) {
        const Placed& left = blocks[f];
        const Index from = f == g ? m : 0, row = left.first + from * left.k;
        auto panel = A.block(row, column, (left.q - from) * left.k, right.k);
        if (left.k == 1 && right.k == 1) {
          panel *= T[f](0, 0) * op_g(0, 0);
          continue;
        }
        const Matrix op_f = transpose ? Matrix(T[f].transpose()) : T[f];
        panel = (panel * op_g).eval();
        if (left.k == 1) {
          panel *= op_f(0, 0);
          continue;
        }
        for (Index l = 0; l < left.q - from; ++l) {
          auto block = panel.middleRows(l * left.k, left.k);
          block = (op_f * block).eval();
        }
      }
    }
  }
}

void zero_lower(Matrix& A) {
  for (Index j = 0; j < A.cols(); ++j) A.col(j).tail(A.rows() - j).setZero();
}

void copy_lower(const Matrix& from, Matrix& to) {
  to.resize(from.rows(), from.cols());
  for (Index j = 0; j < from.cols(); ++j) {
    to.col(j).tail(from.rows() - j) = from.col(j).tail(from.rows() - j);
  }
}

// T^-T (I - S_ll^-1) T^-1 = Z_l'H^-1 Z_l from the diagonal blocks of S^-1; false where so
// much cancels that it can't be had this way.
bool blocks_by_difference(const Placed& block, const Matrix& T, const Matrix& S_inverse,
                          Matrix& out) {
  const Matrix I = Matrix::Identity(block.k, block.k);
  if (T.diagonal().cwiseAbs().minCoeff() < 1e-6) return false;
  const Matrix inverse = T.triangularView<Eigen::Lower>().solve(I);
  out.resize(block.k, block.k * block.q);
  for (Index l = 0; l < block.q; ++l) {
    const Matrix left = I - S_inverse.middleCols(l * block.k, block.k);
    if (left.diagonal().minCoeff() < 1e-4) return false;
    out.middleCols(l * block.k, block.k) = inverse.transpose() * left * inverse;
  }
  return true;
}

// The same from N and M, a panel of columns at a time.
Matrix blocks_by_multiplying(const Rest& rest, Index r, const Placed& block) {
  Matrix out(block.k, block.k * block.q);
  const Index most = std::max<Index>(1, rest.panel() / block.k);
  for (Index l = 0; l < block.q; l += most) {
    const Index width = std::min(most, block.q - l) * block.k;
    const Index first = block.first + l * block.k;
    Matrix unit = Matrix::Zero(r, width);
    unit.middleRows(first, width).setIdentity();
    const Matrix panel = rest.multiply_N(unit), MN = rest.multiply_M(panel);
    for (Index i = 0; i < width; i += block.k) {
      out.middleCols(l * block.k + i, block.k) =
          panel.block(first + i, i, block.k, block.k) -
          panel.middleCols(i, block.k).transpose() * MN.middleCols(i, block.k);
    }
  }
  return out;
}

// Of N, S and M only the lower triangle is kept.
class DenseRest : public Rest {
 public:
  DenseRest(const SparseMatrix& ZZ, const std::vector<RestBlock>& blocks,
            const std::vector<int>& start, const std::vector<int>& column)
      : ZZ_(ZZ),
        blocks_(place(blocks)),
        start_(start),
        column_(column),
        visits_(static_cast<std::size_t>(ZZ.rows()) + 1, 0.0) {
    for (std::size_t l = 0; l + 1 < start_.size(); ++l) {
      for (int b = start_[l]; b < start_[l + 1]; ++b) {
        visits_[static_cast<std::size_t>(column_[static_cast<std::size_t>(b)]) + 1] +=
            start_[l + 1] - b;
      }
    }
    std::partial_sum(visits_.begin(), visits_.end(), visits_.begin());
  }

  void complement(const Matrix& K_all, int threads) override {
    N_.resize(ZZ_.rows(), ZZ_.cols());
    zero_lower(N_);
    for (Index j = 0; j < ZZ_.outerSize(); ++j) {
      for (SparseMatrix::InnerIterator it(ZZ_, j); it; ++it) N_(it.row(), j) = it.value();
    }
    // each thread has columns of its own, with about the same number of elements to visit
    const auto bound = [&](Index part) {
      const double share =
          visits_.back() * static_cast<double>(part) / static_cast<double>(threads);
      return part == threads ? N_.cols()
                             : std::lower_bound(visits_.begin(), visits_.end(), share) -
                                   visits_.begin();
    };
    parallel_for(threads, threads,
                 [&](Index part) { subtract(K_all, bound(part), bound(part + 1)); });
  }

  double factor(const std::vector<Matrix>& T) override {
    T_ = T;
    copy_lower(N_, L_);
    congruence(blocks_, T_, true, L_);
    L_.diagonal().array() += 1;
    if (!lapack::cholesky(L_)) return not_positive_definite;
    return 2 * L_.diagonal().array().log().sum();
  }

  void invert() override {
    std::swap(L_, M_);  // L is not needed any more
    lapack::cholesky_inverse(M_);
    S_inverse_.clear();
    for (const Placed& block : blocks_) {
      Matrix diagonal(block.k, block.k * block.q);
      for (Index l = 0; l < block.q; ++l) {
        const Index at = block.first + l * block.k;
        diagonal.middleCols(l * block.k, block.k) =
            M_.block(at, at, block.k, block.k).selfadjointView<Eigen::Lower>();
      }
      S_inverse_.push_back(std::move(diagonal));
    }
    congruence(blocks_, T_, false, M_);
  }

  Matrix multiply_N(const Matrix& B) const override { return product(N_, B); }
  Matrix multiply_M(const Matrix& B) const override { return product(M_, B); }

  Matrix half(const Matrix& B) const override {
    Matrix out = B;
    apply_T(blocks_, T_, true, out);
    lapack::solve_lower(false, L_, out);
    return out;
  }

  void at(const int* columns, Index size, Matrix& out) const override {
    out.resize(size, size);
    for (Index b = 0; b < size; ++b) {
      const double* from = &M_.coeffRef(0, columns[b]);
      for (Index a = b; a < size; ++a) out(a, b) = out(b, a) = from[columns[a]];
    }
  }

  Matrix whitened_blocks(std::size_t b) const override {
    const Placed& block = blocks_[b];
    Matrix out;
    if (blocks_by_difference(block, T_[b], S_inverse_[b], out)) return out;
    return blocks_by_multiplying(*this, N_.rows(), block);
  }

  bool dense() const override { return true; }

 private:
  static Matrix product(const Matrix& A, const Matrix& B) {
    Matrix out = Matrix::Zero(A.rows(), B.cols());
    if (B.cols() < 8) {
      out.noalias() += A.selfadjointView<Eigen::Lower>() * B;
    } else {
      lapack::symm(A, B, out);
    }
    return out;
  }

  // Of the columns [first, last) of N.
  void subtract(const Matrix& K_all, Index first, Index last) {
    const Index k = K_all.rows();
    for (std::size_t l = 0; l + 1 < start_.size(); ++l) {
      const int* begin = column_.data() + start_[l];
      const int* end = column_.data() + start_[l + 1];
      const double* K = K_all.data() + k * start_[l];
      for (const int* b = std::lower_bound(begin, end, static_cast<int>(first));
           b < end && *b < last; ++b) {
        double* to = N_.data() + *b * N_.rows();
        const double* own = K + k * (b - begin);
        for (const int* a = b; a < end; ++a) {
          const double* other = K + k * (a - begin);
          double sum = 0;
          for (Index e = 0; e < k; ++e) sum += own[e] * other[e];
          to[*a] -= sum;
        }
      }
    }
  }

  const SparseMatrix& ZZ_;
  std::vector<Placed> blocks_;
  const std::vector<int>& start_;
  const std::vector<int>& column_;
  std::vector<double> visits_;  // r + 1, elements to subtract in the columns before
  std::vector<Matrix> T_;
  Matrix N_, L_, M_;
  std::vector<Matrix> S_inverse_;  // diagonal blocks
};

class SparseRest : public Rest {
 public:
  // N: the pattern of the complement, its lower triangle.
  SparseRest(const SparseMatrix& ZZ, const std::vector<RestBlock>& blocks,
             const std::vector<int>& start, const std::vector<int>& column,
             SparseMatrix N)
      : ZZ_(ZZ), blocks_(place(blocks)), start_(start), N_(std::move(N)) {
    for (Index j = 0; j < ZZ_.outerSize(); ++j) {
      for (SparseMatrix::InnerIterator it(ZZ_, j); it; ++it) {
        ZZ_place_.push_back(place_of(static_cast<int>(it.row()), static_cast<int>(j)));
      }
    }
    for (std::size_t l = 0; l + 1 < start_.size(); ++l) {
      for (int b = start_[l]; b < start_[l + 1]; ++b) {
        for (int a = b; a < start_[l + 1]; ++a) {
          pair_place_.push_back(place_of(column[static_cast<std::size_t>(a)],
                                         column[static_cast<std::size_t>(b)]));
        }
      }
    }
  }

  void complement(const Matrix& K_all, int) override {
    Eigen::Map<Vector>(N_.valuePtr(), N_.nonZeros()).setZero();
    const double* values = ZZ_.valuePtr();
    for (std::size_t i = 0; i < ZZ_place_.size(); ++i) {
      N_.valuePtr()[ZZ_place_[i]] = values[i];
    }
    const Index k = K_all.rows();
    std::size_t at = 0;
    for (std::size_t l = 0; l + 1 < start_.size(); ++l) {
      for (int b = start_[l]; b < start_[l + 1]; ++b) {
        const double* own = K_all.data() + k * b;
        for (int a = b; a < start_[l + 1]; ++a) {
          const double* other = K_all.data() + k * a;
          double sum = 0;
          for (Index e = 0; e < k; ++e) sum += own[e] * other[e];
          N_.valuePtr()[pair_place_[at++]] -= sum;
        }
      }
    }
  }

  double factor(const std::vector<Matrix>& T) override {
    T_ = T;
    SparseMatrix sparse_T(N_.rows(), N_.cols());
    std::vector<Eigen::Triplet<double>> entries;
    for (std::size_t b = 0; b < blocks_.size(); ++b) {
      const Index k = blocks_[b].k;
      for (Index l = 0; l < blocks_[b].q; ++l) {
        const int first = static_cast<int>(blocks_[b].first + l * k);
        for (int c = 0; c < k; ++c) {
          for (int r = 0; r < k; ++r)
            entries.emplace_back(first + r, first + c, T[b](r, c));
        }
      }
    }
    sparse_T.setFromTriplets(entries.begin(), entries.end());
    const SparseMatrix N = N_.selfadjointView<Eigen::Lower>();
    SparseMatrix S = sparse_T.transpose() * N * sparse_T;
    SparseMatrix I(N_.rows(), N_.cols());
    I.setIdentity();
    S += I;
    // the pattern is that of N, whatever T
    if (!analysed_) llt_.analyzePattern(S);
    analysed_ = true;
    llt_.factorize(S);
    if (llt_.info() != Eigen::Success) return not_positive_definite;
    const SparseMatrix L = llt_.matrixL();
    return 2 * L.diagonal().array().log().sum();
  }

  // The inverse of S on the pattern of L, by Takahashi's recursion, last column first.
  void invert() override {
    inverse_ = llt_.matrixL();
    SparseMatrix& Z = inverse_;
    const SparseMatrix L = Z;
    const Index r = L.cols();
    std::vector<int> position(static_cast<std::size_t>(r), -1);
    std::vector<double> sum;
    const int* outer = L.outerIndexPtr();
    const int* inner = L.innerIndexPtr();
    const double* value = L.valuePtr();
    for (Index j = r - 1; j >= 0; --j) {
      const int from = outer[j] + 1, to = outer[j + 1];
      const double pivot = value[outer[j]];
      sum.assign(static_cast<std::size_t>(to - from), 0.0);
      for (int a = from; a < to; ++a)
        position[static_cast<std::size_t>(inner[a])] = a - from;
      for (int a = from; a < to; ++a) {
        const int column = inner[a];
        const auto own = static_cast<std::size_t>(a - from);
        for (int e = outer[column]; e < outer[column + 1]; ++e) {
          const int row = inner[e];
          const int found = position[static_cast<std::size_t>(row)];
          if (found < 0) continue;
          const double z = Z.valuePtr()[e];
          const auto other = static_cast<std::size_t>(found);
          sum[other] += value[a] * z;
          if (row != column) sum[own] += value[from + found] * z;
        }
      }
      double diagonal = 1 / (pivot * pivot);
      for (int a = from; a < to; ++a) {
        const double z = -sum[static_cast<std::size_t>(a - from)] / pivot;
        Z.valuePtr()[a] = z;
        diagonal -= value[a] * z / pivot;
        position[static_cast<std::size_t>(inner[a])] = -1;
      }
      Z.valuePtr()[outer[j]] = diagonal;
    }
  }

  Matrix multiply_N(const Matrix& B) const override {
    return N_.selfadjointView<Eigen::Lower>() * B;
  }

  Matrix multiply_M(const Matrix& B) const override {
    Matrix out = B;
    apply_T(blocks_, T_, true, out);
    out = llt_.solve(out).eval();
    apply_T(blocks_, T_, false, out);
    return out;
  }

  Matrix half(const Matrix& B) const override {
    Matrix out = B;
    apply_T(blocks_, T_, true, out);
    out = (llt_.permutationP() * out).eval();
    return llt_.matrixL().solve(out);
  }

  void at(const int* columns, Index size, Matrix& out) const override {
    out.resize(size, size);
    for (Index b = 0; b < size; ++b) {
      for (Index a = b; a < size; ++a) {
        out(a, b) = out(b, a) = inverse_at(columns[a], columns[b]);
      }
    }
    // columns come as whole levels
    for (Index first = 0; first < size;) {
      const std::size_t b = block_of(columns[first]);
      const Index k = blocks_[b].k;
      out.middleRows(first, k) = (T_[b] * out.middleRows(first, k)).eval();
      first += k;
    }
    for (Index first = 0; first < size;) {
      const std::size_t b = block_of(columns[first]);
      const Index k = blocks_[b].k;
      out.middleCols(first, k) = (out.middleCols(first, k) * T_[b].transpose()).eval();
      first += k;
    }
  }

  Matrix whitened_blocks(std::size_t b) const override {
    const Placed& block = blocks_[b];
    Matrix S_inverse(block.k, block.k * block.q), out;
    for (Index l = 0; l < block.q; ++l) {
      const int first = static_cast<int>(block.first + l * block.k);
      for (int c = 0; c < block.k; ++c) {
        for (int r = 0; r < block.k; ++r) {
          S_inverse(r, l * block.k + c) = inverse_at(first + r, first + c);
        }
      }
    }
    if (blocks_by_difference(block, T_[b], S_inverse, out)) return out;
    return blocks_by_multiplying(*this, N_.rows(), block);
  }

  bool dense() const override { return false; }

 private:
  int place_of(int row, int column) const {
    const int* begin = N_.innerIndexPtr() + N_.outerIndexPtr()[column];
    const int* end = N_.innerIndexPtr() + N_.outerIndexPtr()[column + 1];
    return static_cast<int>(std::lower_bound(begin, end, row) - N_.innerIndexPtr());
  }

  double inverse_at(int row, int column) const {
    int i = llt_.permutationP().indices()(row), j = llt_.permutationP().indices()(column);
    if (i < j) std::swap(i, j);
    const int* inner = inverse_.innerIndexPtr();
    const int* begin = inner + inverse_.outerIndexPtr()[j];
    const int* end = inner + inverse_.outerIndexPtr()[j + 1];
    return inverse_.valuePtr()[std::lower_bound(begin, end, i) - inner];
  }

  std::size_t block_of(Index column) const {
    std::size_t b = 0;
    while (b + 1 < blocks_.size() && column >= blocks_[b + 1].first) ++b;
    return b;
  }

  const SparseMatrix& ZZ_;
  std::vector<Placed> blocks_;
  const std::vector<int>& start_;
  SparseMatrix N_;  // lower triangle
  std::vector<int> ZZ_place_, pair_place_;
  std::vector<Matrix> T_;
  bool analysed_ = false;
  Eigen::SimplicialLLT<SparseMatrix, Eigen::Lower, Eigen::AMDOrdering<int>> llt_;
  SparseMatrix inverse_;  // of S, permuted, on the pattern of L
};

// The pattern of the complement, its lower triangle; of no columns where it has more than
// `limit` elements.
SparseMatrix complement_pattern(const SparseMatrix& ZZ, const std::vector<int>& start,
                                const std::vector<int>& column, double limit) {
  double pairs = static_cast<double>(ZZ.nonZeros());
  for (std::size_t l = 0; l + 1 < start.size(); ++l) {
    const double size = start[l + 1] - start[l];
    pairs += size * (size + 1) / 2;
  }
  if (pairs > limit) return SparseMatrix();
  std::vector<Eigen::Triplet<double>> entries;
  entries.reserve(static_cast<std::size_t>(pairs));
  for (Index j = 0; j < ZZ.outerSize(); ++j) {
    for (SparseMatrix::InnerIterator it(ZZ, j); it; ++it) {
      entries.emplace_back(static_cast<int>(it.row()), static_cast<int>(j), 1.0);
    }
  }
  for (std::size_t l = 0; l + 1 < start.size(); ++l) {
    for (int b = start[l]; b < start[l + 1]; ++b) {
      for (int a = b; a < start[l + 1]; ++a) {
        entries.emplace_back(column[static_cast<std::size_t>(a)],
                             column[static_cast<std::size_t>(b)], 1.0);
      }
    }
  }
  SparseMatrix out(ZZ.rows(), ZZ.cols());
  out.setFromTriplets(entries.begin(), entries.end());
  return out;
}

// Elements of the Cholesky factor of a matrix with this pattern.
double factor_size(const SparseMatrix& pattern) {
  SparseMatrix A = pattern;
  // diagonally dominant, so that it can be factored
  for (Index j = 0; j < A.outerSize(); ++j) {
    for (SparseMatrix::InnerIterator it(A, j); it; ++it) {
      it.valueRef() = it.row() == j ? static_cast<double>(A.rows()) : 1e-3;
    }
  }
  Eigen::SimplicialLLT<SparseMatrix, Eigen::Lower, Eigen::AMDOrdering<int>> llt(A);
  const SparseMatrix L = llt.matrixL();
  return static_cast<double>(L.nonZeros());
}

}  // namespace

std::unique_ptr<Rest> make_rest(const SparseMatrix& ZZ,
                                const std::vector<RestBlock>& blocks,
                                const std::vector<int>& start,
                                const std::vector<int>& column) {
  const double r = static_cast<double>(ZZ.rows()), full = r * (r + 1) / 2;
  // a dense complement of this size takes less time than looking for a sparse one
  if (r > 200) {
    SparseMatrix pattern =
        complement_pattern(ZZ, start, column, std::min(0.5 * full + 1e6, 1e7));
    const bool is_sparse = pattern.cols() > 0 &&
                           static_cast<double>(pattern.nonZeros()) < 0.1 * full &&
                           factor_size(pattern) < 0.15 * full;
    if (is_sparse) {
      return std::make_unique<SparseRest>(ZZ, blocks, start, column, std::move(pattern));
    }
  }
  return std::make_unique<DenseRest>(ZZ, blocks, start, column);
}

}  // namespace kinlmm
