#include "core/sparse_cholesky.h"

#include <Eigen/OrderingMethods>
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/lapack.h"

namespace kinlmm {

namespace {

using Panel = Eigen::Map<Matrix>;
using ConstPanel = Eigen::Map<const Matrix>;

// Below this many rows calls of LAPACK cost more than they save.
constexpr Index small_front = 12;

// The upper triangle of A, rows and columns at their positions, columns sorted.
SparseMatrix permuted_upper(const SparseMatrix& lower, const std::vector<int>& position) {
  const Index n = lower.cols();
  const auto at = [&](Index i) { return position[static_cast<std::size_t>(i)]; };
  std::vector<int> start(static_cast<std::size_t>(n) + 1, 0);
  for (Index j = 0; j < n; ++j) {
    for (SparseMatrix::InnerIterator it(lower, j); it; ++it)
      ++start[static_cast<std::size_t>(std::min(at(it.row()), at(j))) + 1];
  }
  std::partial_sum(start.begin(), start.end(), start.begin());
  std::vector<int> next(start.begin(), start.end() - 1);
  std::vector<int> row(static_cast<std::size_t>(lower.nonZeros()));
  const std::vector<double> one(row.size(), 1.0);
  for (Index j = 0; j < n; ++j) {
    for (SparseMatrix::InnerIterator it(lower, j); it; ++it) {
      const int a = at(it.row()), b = at(j);
      row[static_cast<std::size_t>(next[static_cast<std::size_t>(std::min(a, b))]++)] =
          std::max(a, b);
    }
  }
  // transposing sorts
  return Eigen::Map<const SparseMatrix>(n, n, lower.nonZeros(), start.data(), row.data(),
                                        one.data())
      .transpose();
}

// The elimination tree, -1 for a root (Liu).
std::vector<int> elimination_tree(const SparseMatrix& upper) {
  const auto n = static_cast<std::size_t>(upper.cols());
  std::vector<int> parent(n, -1), ancestor(n, -1);
  for (int j = 0; j < static_cast<int>(n); ++j) {
    for (SparseMatrix::InnerIterator it(upper, j); it; ++it) {
      int i = static_cast<int>(it.row());
      while (i != -1 && i < j) {
        const int next = ancestor[static_cast<std::size_t>(i)];
        ancestor[static_cast<std::size_t>(i)] = j;
        if (next == -1) parent[static_cast<std::size_t>(i)] = j;
        i = next;
      }
    }
  }
  return parent;
}

// The place of every node when children come before parents, subtree by subtree.
std::vector<int> postorder(const std::vector<int>& parent) {
  const auto n = parent.size();
  std::vector<int> first(n, -1), next(n, -1), place(n), stack;
  for (std::size_t j = n; j-- > 0;) {
    if (parent[j] < 0) continue;
    const auto up = static_cast<std::size_t>(parent[j]);
    next[j] = first[up];
    first[up] = static_cast<int>(j);
  }
  int at = 0;
  for (std::size_t root = 0; root < n; ++root) {
    if (parent[root] >= 0) continue;
    stack.push_back(static_cast<int>(root));
    while (!stack.empty()) {
      const auto node = static_cast<std::size_t>(stack.back());
      if (first[node] >= 0) {
        stack.push_back(first[node]);
        first[node] = next[static_cast<std::size_t>(first[node])];
      } else {
        place[node] = at++;
        stack.pop_back();
      }
    }
  }
  return place;
}

// Elements of each column of L, by walking up the tree from every element of A.
std::vector<int> column_counts(const SparseMatrix& upper,
                               const std::vector<int>& parent) {
  const auto n = static_cast<std::size_t>(upper.cols());
  std::vector<int> count(n, 1), seen(n, -1);
  for (int i = 0; i < static_cast<int>(n); ++i) {
    seen[static_cast<std::size_t>(i)] = i;
    for (SparseMatrix::InnerIterator it(upper, i); it; ++it) {
      auto j = static_cast<std::size_t>(it.row());
      while (seen[j] != i) {
        ++count[j];
        seen[j] = i;
        j = static_cast<std::size_t>(parent[j]);
      }
    }
  }
  return count;
}

// Whether a front of this many columns may hold this share of zeros.
bool worth_merging(double width, double zeros) {
  return width <= 4 || (width <= 16 && zeros < 0.8) || (width <= 48 && zeros < 0.1) ||
         zeros < 0.05;
}

}  // namespace

SparseCholesky::SparseCholesky(const SparseMatrix& pattern, std::vector<int> position)
    : n_(pattern.cols()), position_(std::move(position)) {
  if (static_cast<Index>(position_.size()) != n_) order(pattern);
  SparseMatrix upper = permuted_upper(pattern, position_);
  std::vector<int> parent = elimination_tree(upper);
  const std::vector<int> place = postorder(parent);
  for (int& position : position_) position = place[static_cast<std::size_t>(position)];
  upper = permuted_upper(pattern, position_);
  parent = elimination_tree(upper);
  find_fronts(parent, column_counts(upper, parent));
  find_rows(upper);

  place_.reserve(static_cast<std::size_t>(pattern.nonZeros()));
  diagonal_.resize(static_cast<std::size_t>(n_));
  for (Index j = 0; j < n_; ++j) {
    const int b = position_[static_cast<std::size_t>(j)];
    for (SparseMatrix::InnerIterator it(pattern, j); it; ++it) {
      const int a = position_[static_cast<std::size_t>(it.row())];
      if (a == b) diagonal_[static_cast<std::size_t>(b)] = place_.size();
      place_.push_back(place_of(std::max(a, b), std::min(a, b)));
    }
  }
}

void SparseCholesky::order(const SparseMatrix& pattern) {
  SparseMatrix whole = pattern.selfadjointView<Eigen::Lower>();
  Eigen::PermutationMatrix<Eigen::Dynamic, Eigen::Dynamic, int> eliminated;
  Eigen::AMDOrdering<int>()(whole, eliminated);
  position_.resize(static_cast<std::size_t>(n_));
  for (Index k = 0; k < n_; ++k) {
    position_[static_cast<std::size_t>(eliminated.indices()(k))] = static_cast<int>(k);
  }
}

// Columns with the same rows below are a front; a front joins its parent where that adds
// few zeros. `below` is only a count so far.
void SparseCholesky::find_fronts(const std::vector<int>& parent,
                                 const std::vector<int>& count) {
  std::vector<double> zeros;
  const int n = static_cast<int>(n_);
  for (int j = 0; j < n;) {
    int last = j;
    const auto at = [](int i) { return static_cast<std::size_t>(i); };
    while (last + 1 < n && parent[at(last)] == last + 1 &&
           count[at(last)] == count[at(last + 1)] + 1) {
      ++last;
    }
    Front front{j, last - j + 1, 0, static_cast<std::size_t>(count[at(last)] - 1), 0, -1};
    double empty = 0;
    while (!fronts_.empty()) {
      const Front& child = fronts_.back();
      const int up = parent[at(child.first + child.width - 1)];
      if (up < front.first || up > last) break;
      const double width = child.width + front.width;
      const double added = child.width * (static_cast<double>(front.width + front.below) -
                                          static_cast<double>(child.below));
      const double total =
          width * (width + 1) / 2 + width * static_cast<double>(front.below);
      if (!worth_merging(width, (empty + zeros.back() + added) / total)) break;
      empty += zeros.back() + added;
      front.first = child.first;
      front.width += child.width;
      fronts_.pop_back();
      zeros.pop_back();
    }
    fronts_.push_back(front);
    zeros.push_back(empty);
    j = last + 1;
  }
  front_of_.resize(static_cast<std::size_t>(n_));
  for (std::size_t f = 0; f < fronts_.size(); ++f) {
    std::fill_n(front_of_.begin() + fronts_[f].first, fronts_[f].width,
                static_cast<int>(f));
  }
  children_.resize(fronts_.size());
  for (std::size_t f = 0; f < fronts_.size(); ++f) {
    Front& front = fronts_[f];
    const int up = parent[static_cast<std::size_t>(front.first + front.width - 1)];
    if (up < 0) continue;
    front.parent = front_of_[static_cast<std::size_t>(up)];
    children_[static_cast<std::size_t>(front.parent)].push_back(static_cast<int>(f));
  }
}

// Rows of a front: those of A in its columns, and of its children.
void SparseCholesky::find_rows(const SparseMatrix& upper) {
  const SparseMatrix lower = upper.transpose();
  std::vector<int> seen(static_cast<std::size_t>(n_), -1);
  std::size_t values = 0;
  for (std::size_t f = 0; f < fronts_.size(); ++f) {
    Front& front = fronts_[f];
    const int end = front.first + front.width, mark = static_cast<int>(f);
    front.rows = rows_.size();
    const auto add = [&](int row) {
      int& own = seen[static_cast<std::size_t>(row)];
      if (row < end || own == mark) return;
      own = mark;
      rows_.push_back(row);
    };
    for (int j = front.first; j < end; ++j) {
      for (SparseMatrix::InnerIterator it(lower, j); it; ++it)
        add(static_cast<int>(it.row()));
    }
    for (int child : children_[f]) {
      const Front& below = fronts_[static_cast<std::size_t>(child)];
      for (std::size_t i = 0; i < below.below; ++i) add(rows_[below.rows + i]);
    }
    front.below = rows_.size() - front.rows;
    std::sort(rows_.begin() + static_cast<std::ptrdiff_t>(front.rows), rows_.end());
    front.values = values;
    values += (static_cast<std::size_t>(front.width) + front.below) *
              static_cast<std::size_t>(front.width);
  }
  value_.resize(values);
  within_.resize(rows_.size());
  for (const Front& front : fronts_) {
    if (front.parent < 0) continue;
    const Front& up = fronts_[static_cast<std::size_t>(front.parent)];
    std::size_t at = 0;
    for (std::size_t i = 0; i < front.below; ++i) {
      const int row = rows_[front.rows + i];
      if (row < up.first + up.width) {
        within_[front.rows + i] = row - up.first;
        continue;
      }
      while (rows_[up.rows + at] != row) ++at;
      within_[front.rows + i] = up.width + static_cast<int>(at);
    }
  }
}

// Where an element of L is, the last place of all + 1 where it is not on the pattern.
std::size_t SparseCholesky::place_of(int row, int column) const {
  const Front& front =
      fronts_[static_cast<std::size_t>(front_of_[static_cast<std::size_t>(column)])];
  const auto width = static_cast<std::size_t>(front.width);
  const std::size_t start =
      front.values +
      static_cast<std::size_t>(column - front.first) * (width + front.below);
  if (row < front.first + front.width)
    return start + static_cast<std::size_t>(row - front.first);
  const auto begin = rows_.begin() + static_cast<std::ptrdiff_t>(front.rows);
  const auto end = begin + static_cast<std::ptrdiff_t>(front.below);
  const auto found = std::lower_bound(begin, end, row);
  if (found == end || *found != row) return value_.size();
  return start + width + static_cast<std::size_t>(found - begin);
}

bool SparseCholesky::factor(const double* values) {
  std::fill(value_.begin(), value_.end(), 0.0);
  for (std::size_t e = 0; e < place_.size(); ++e) value_[place_[e]] = values[e];
  own_.resize(diagonal_.size());
  for (std::size_t j = 0; j < own_.size(); ++j) own_[j] = values[diagonal_[j]];
  std::vector<Matrix> updates(fronts_.size());
  for (std::size_t f = 0; f < fronts_.size(); ++f) {
    eliminate(f, updates);
    const Front& front = fronts_[f];
    // where a factor is not there the diagonal says so
    const double* pivot = value_.data() + front.values;
    const std::size_t step = static_cast<std::size_t>(front.width) + front.below + 1;
    for (int j = 0; j < front.width; ++j, pivot += step) {
      if (!(*pivot > 0) || !std::isfinite(*pivot)) return false;
    }
  }
  return true;
}

// What the children leave is added, the columns are factored, and what they leave goes to
// the parent: the lower triangle of updates[f].
void SparseCholesky::eliminate(std::size_t f, std::vector<Matrix>& updates) {
  const Front& front = fronts_[f];
  const Index w = front.width, r = static_cast<Index>(front.below);
  Panel panel(value_.data() + front.values, w + r, w);
  Matrix update = Matrix::Zero(r, r);
  for (int c : children_[f]) {
    Matrix& from = updates[static_cast<std::size_t>(c)];
    const int* to = within_.data() + fronts_[static_cast<std::size_t>(c)].rows;
    for (Index j = 0; j < from.cols(); ++j) {
      const bool inside = to[j] < w;
      double* column = inside ? &panel(0, to[j]) : &update(0, to[j] - w);
      const Index before = inside ? 0 : w;
      const double* own = &from(0, j);
      for (Index i = j; i < from.rows(); ++i) column[to[i] - before] += own[i];
    }
    from.resize(0, 0);
  }
  if (w + r > small_front) {
    auto own = panel.topRows(w);
    if (!lapack::cholesky(own)) {
      panel(0, 0) = -1;
      return;
    }
    auto below = panel.bottomRows(r);
    lapack::solve_right(true, own, below);
    lapack::syrk(-1, below, 1, update);
  } else {
    for (Index k = 0; k < w; ++k) {
      const double pivot = std::sqrt(panel(k, k));
      panel(k, k) = pivot;
      for (Index i = k + 1; i < w + r; ++i) panel(i, k) /= pivot;
      for (Index j = k + 1; j < w; ++j) {
        const double l = panel(j, k);
        for (Index i = j; i < w + r; ++i) panel(i, j) -= l * panel(i, k);
      }
      for (Index j = 0; j < r; ++j) {
        const double l = panel(w + j, k);
        for (Index i = j; i < r; ++i) update(i, j) -= l * panel(w + i, k);
      }
    }
  }
  updates[f] = std::move(update);
}

double SparseCholesky::logdet() const {
  double sum = 0;
  for (const Front& front : fronts_) {
    const double* pivot = value_.data() + front.values;
    const std::size_t step = static_cast<std::size_t>(front.width) + front.below + 1;
    for (int j = 0; j < front.width; ++j, pivot += step) sum += std::log(*pivot);
  }
  return 2 * sum;
}

double SparseCholesky::weakest_pivot() const {
  double out = std::numeric_limits<double>::infinity();
  for (const Front& front : fronts_) {
    const double* pivot = value_.data() + front.values;
    const std::size_t step = static_cast<std::size_t>(front.width) + front.below + 1;
    for (int j = 0; j < front.width; ++j, pivot += step)
      out = std::min(out,
                     *pivot * *pivot / own_[static_cast<std::size_t>(front.first + j)]);
  }
  return out;
}

void SparseCholesky::lower_half(const Front& front, Matrix& X) const {
  const Index w = front.width, r = static_cast<Index>(front.below);
  const ConstPanel panel(value_.data() + front.values, w + r, w);
  const int* rows = rows_.data() + front.rows;
  if (w + r > small_front && X.cols() > 1) {
    auto own = X.middleRows(front.first, w);
    panel.topRows(w).triangularView<Eigen::Lower>().solveInPlace(own);
    const Matrix taken = panel.bottomRows(r) * own;
    for (Index c = 0; c < X.cols(); ++c) {
      double* x = &X(0, c);
      for (Index i = 0; i < r; ++i) x[rows[i]] -= taken(i, c);
    }
    return;
  }
  for (Index c = 0; c < X.cols(); ++c) {
    double* x = &X(0, c);
    double* own = x + front.first;
    for (Index k = 0; k < w; ++k) {
      const double* l = panel.data() + k * (w + r);
      const double value = own[k] /= l[k];
      for (Index i = k + 1; i < w; ++i) own[i] -= l[i] * value;
      for (Index i = 0; i < r; ++i) x[rows[i]] -= l[w + i] * value;
    }
  }
}

void SparseCholesky::upper_half(const Front& front, Matrix& X) const {
  const Index w = front.width, r = static_cast<Index>(front.below);
  const ConstPanel panel(value_.data() + front.values, w + r, w);
  const int* rows = rows_.data() + front.rows;
  if (w + r > small_front && X.cols() > 1) {
    Matrix below(r, X.cols());
    for (Index c = 0; c < X.cols(); ++c) {
      for (Index i = 0; i < r; ++i) below(i, c) = X(rows[i], c);
    }
    auto own = X.middleRows(front.first, w);
    own.noalias() -= panel.bottomRows(r).transpose() * below;
    panel.topRows(w).triangularView<Eigen::Lower>().transpose().solveInPlace(own);
    return;
  }
  for (Index c = 0; c < X.cols(); ++c) {
    double* x = &X(0, c);
    double* own = x + front.first;
    for (Index k = w - 1; k >= 0; --k) {
      const double* l = panel.data() + k * (w + r);
      double value = own[k];
      for (Index i = k + 1; i < w; ++i) value -= l[i] * own[i];
      for (Index i = 0; i < r; ++i) value -= l[w + i] * x[rows[i]];
      own[k] = value / l[k];
    }
  }
}

Matrix SparseCholesky::half(const ConstMatrixRef& B) const {
  Matrix X(n_, B.cols());
  for (Index c = 0; c < B.cols(); ++c) {
    for (Index i = 0; i < n_; ++i) X(position_[static_cast<std::size_t>(i)], c) = B(i, c);
  }
  for (const Front& front : fronts_) lower_half(front, X);
  return X;
}

Matrix SparseCholesky::back(const ConstMatrixRef& B) const {
  Matrix X = B;
  for (std::size_t f = fronts_.size(); f-- > 0;) upper_half(fronts_[f], X);
  Matrix out(n_, B.cols());
  for (Index c = 0; c < B.cols(); ++c) {
    for (Index i = 0; i < n_; ++i)
      out(i, c) = X(position_[static_cast<std::size_t>(i)], c);
  }
  return out;
}

// From the parents down: A^-1 among the rows of a front below its columns is part of what
// the parent has, and gives that of its columns.
void SparseCholesky::invert() {
  inverse_.resize(value_.size());
  std::vector<Matrix> whole(fronts_.size());  // of fronts whose children are not done
  std::vector<std::size_t> waiting(fronts_.size());
  for (std::size_t f = 0; f < fronts_.size(); ++f) waiting[f] = children_[f].size();
  for (std::size_t f = fronts_.size(); f-- > 0;) {
    const Front& front = fronts_[f];
    const Index r = static_cast<Index>(front.below);
    Matrix above(r, r);
    if (front.parent >= 0) {
      const auto up = static_cast<std::size_t>(front.parent);
      const Matrix& from = whole[up];
      const int* at = within_.data() + front.rows;
      for (Index j = 0; j < r; ++j) {
        const double* column = &from(0, at[j]);
        for (Index i = j; i < r; ++i) above(i, j) = column[at[i]];
      }
      if (--waiting[up] == 0) whole[up].resize(0, 0);
    }
    invert_front(f, above, whole[f]);
  }
}

// above: lower triangle, below x below. whole: lower triangle, of a front with children.
void SparseCholesky::invert_front(std::size_t f, const Matrix& above, Matrix& whole) {
  const Front& front = fronts_[f];
  const Index w = front.width, r = static_cast<Index>(front.below);
  const ConstPanel L(value_.data() + front.values, w + r, w);
  Panel Z(inverse_.data() + front.values, w + r, w);
  if (w == 1 && r <= small_front) {
    const double pivot = L(0, 0);
    double own = 1 / (pivot * pivot);
    for (Index i = 0; i < r; ++i) {
      double sum = 0;
      for (Index j = 0; j < r; ++j)
        sum += (i >= j ? above(i, j) : above(j, i)) * L(1 + j, 0);
      Z(1 + i, 0) = -sum / pivot;
      own -= L(1 + i, 0) * Z(1 + i, 0) / pivot;
    }
    Z(0, 0) = own;
  } else {
    Z = L;
    auto own = Z.topRows(w);
    lapack::cholesky_inverse(own);
    if (r > 0) {
      Matrix Y = L.bottomRows(r);
      lapack::solve_right(false, L.topRows(w), Y);
      auto below = Z.bottomRows(r);
      below.setZero();
      lapack::symm(above, -Y, below);
      lapack::gemm(true, false, -1, Y, below, 1, own);
    }
  }
  if (children_[f].empty()) return;
  whole.resize(w + r, w + r);
  whole.leftCols(w) = Z;
  whole.bottomRightCorner(r, r).triangularView<Eigen::Lower>() = above;
}

bool SparseCholesky::inverse_at(Index row, Index column, double& out) const {
  const int a = position_[static_cast<std::size_t>(row)];
  const int b = position_[static_cast<std::size_t>(column)];
  const std::size_t at = place_of(std::max(a, b), std::min(a, b));
  if (at == value_.size()) return false;
  out = inverse_[at];
  return true;
}

}  // namespace kinlmm
