#include "core/blocked.h"

#include <Eigen/Cholesky>
#include <Eigen/QR>
#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "core/criterion.h"
#include "core/error.h"

namespace kinlmm {

namespace {

// Rows of one factor, level by level.
struct Sorted {
  std::vector<int> start;  // q + 1
  std::vector<int> row;
};
Sorted sort_rows(const FactorRows& factor) {
  Sorted out;
  out.start.assign(static_cast<std::size_t>(factor.q) + 1, 0);
  for (int level : factor.level) ++out.start[static_cast<std::size_t>(level) + 1];
  std::partial_sum(out.start.begin(), out.start.end(), out.start.begin());
  out.row.resize(factor.level.size());
  std::vector<int> at(out.start.begin(), out.start.end() - 1);
  for (std::size_t i = 0; i < factor.level.size(); ++i) {
    out.row[static_cast<std::size_t>(at[static_cast<std::size_t>(factor.level[i])]++)] =
        static_cast<int>(i);
  }
  return out;
}

// Cross-products of two factors: for each level of f the levels of g that it meets, in
// increasing order, and Z_f'Z_g, k_f x k_g side by side.
struct Cross {
  std::vector<int> start, level;
  std::vector<double> value;
};
Cross cross_products(const FactorRows& f, const Sorted& sorted, const FactorRows& g) {
  Cross out;
  const Index kf = f.Z.cols(), kg = g.Z.cols();
  const auto size = static_cast<std::size_t>(kf * kg);
  std::vector<int> place(static_cast<std::size_t>(g.q), -1), met;
  std::vector<double> sums;
  out.start.push_back(0);
  for (Index j = 0; j < f.q; ++j) {
    met.clear();
    sums.clear();
    for (int at = sorted.start[static_cast<std::size_t>(j)];
         at < sorted.start[static_cast<std::size_t>(j) + 1]; ++at) {
      const int i = sorted.row[static_cast<std::size_t>(at)];
      const int level = g.level[static_cast<std::size_t>(i)];
      int& to = place[static_cast<std::size_t>(level)];
      if (to < 0) {
        to = static_cast<int>(met.size());
        met.push_back(level);
        sums.resize(sums.size() + size, 0.0);
      }
      double* block = sums.data() + static_cast<std::size_t>(to) * size;
      for (Index b = 0; b < kg; ++b) {
        for (Index a = 0; a < kf; ++a) *block++ += f.Z(i, a) * g.Z(i, b);
      }
    }
    std::vector<int> order = met;
    std::sort(order.begin(), order.end());
    for (int level : order) {
      const double* block =
          sums.data() +
          static_cast<std::size_t>(place[static_cast<std::size_t>(level)]) * size;
      out.level.push_back(level);
      out.value.insert(out.value.end(), block, block + size);
    }
    for (int level : met) place[static_cast<std::size_t>(level)] = -1;
    out.start.push_back(static_cast<int>(out.level.size()));
  }
  return out;
}

// Z_j'[Z_j] and Z_j'[X y] of every level.
void own_products(const FactorRows& f, const ConstMatrixRef& Xy, Matrix& A, Matrix& B) {
  const Index k = f.Z.cols(), width = Xy.cols();
  A = Matrix::Zero(k, k * f.q);
  B = Matrix::Zero(k, width * f.q);
  for (Index i = 0; i < Xy.rows(); ++i) {
    const Index j = f.level[static_cast<std::size_t>(i)];
    for (Index a = 0; a < k; ++a) {
      const double z = f.Z(i, a);
      for (Index b = 0; b < k; ++b) A(a, j * k + b) += z * f.Z(i, b);
      for (Index b = 0; b < width; ++b) B(a, j * width + b) += z * Xy(i, b);
    }
  }
}

using Triplets = std::vector<Eigen::Triplet<double>>;

// Lower triangle of the diagonal blocks of one factor of the rest.
void add_diagonal(const Matrix& A, Index k, Index q, Index offset, Triplets& out) {
  for (Index l = 0; l < q; ++l) {
    for (Index b = 0; b < k; ++b) {
      for (Index a = b; a < k; ++a) {
        out.emplace_back(static_cast<int>(offset + l * k + a),
                         static_cast<int>(offset + l * k + b), A(a, l * k + b));
      }
    }
  }
}

void add_crossing(const Cross& cross, Index kf, Index kg, Index offset_f, Index offset_g,
                  Triplets& out) {
  const double* value = cross.value.data();
  for (std::size_t j = 0; j + 1 < cross.start.size(); ++j) {
    for (int at = cross.start[j]; at < cross.start[j + 1]; ++at) {
      const Index level = cross.level[static_cast<std::size_t>(at)];
      for (Index b = 0; b < kg; ++b) {
        for (Index a = 0; a < kf; ++a) {
          // g comes after f: below the diagonal
          out.emplace_back(static_cast<int>(offset_g + level * kg + b),
                           static_cast<int>(offset_f + static_cast<Index>(j) * kf + a),
                           *value++);
        }
      }
    }
  }
}

std::vector<Index> rest_offsets(const std::vector<Factor>& factors) {
  std::vector<Index> out(2, 0);
  for (std::size_t f = 1; f < factors.size(); ++f) {
    out.push_back(out.back() + factors[f].q * factors[f].k);
  }
  return out;  // offset of factor f at f, of the end at factors.size()
}

void add_rest(const std::vector<FactorRows>& rows, const ConstMatrixRef& Xy,
              BlockedData& data) {
  const std::vector<Index> offset = rest_offsets(data.factors);
  const Index r = offset.back(), width = Xy.cols(), k = data.factors[0].k;
  data.rest_Xy.resize(r, width);
  Triplets entries;
  std::vector<Sorted> sorted;
  for (const FactorRows& factor : rows) sorted.push_back(sort_rows(factor));
  std::vector<Cross> with_first;
  for (std::size_t f = 1; f < rows.size(); ++f) {
    const Index kf = rows[f].Z.cols(), q = rows[f].q;
    Matrix A, B;
    own_products(rows[f], Xy, A, B);
    add_diagonal(A, kf, q, offset[f], entries);
    for (Index l = 0; l < q; ++l) {
      data.rest_Xy.middleRows(offset[f] + l * kf, kf) = B.middleCols(l * width, width);
    }
    for (std::size_t g = f + 1; g < rows.size(); ++g) {
      add_crossing(cross_products(rows[f], sorted[f], rows[g]), kf, rows[g].Z.cols(),
                   offset[f], offset[g], entries);
    }
    with_first.push_back(cross_products(rows[0], sorted[0], rows[f]));
  }
  data.rest.resize(r, r);
  data.rest.setFromTriplets(entries.begin(), entries.end());

  std::size_t total = 0;
  for (std::size_t f = 1; f < rows.size(); ++f) {
    total += with_first[f - 1].level.size() * static_cast<std::size_t>(rows[f].Z.cols());
  }
  data.cross.resize(k, static_cast<Index>(total));
  data.column.reserve(total);
  data.start.push_back(0);
  for (Index j = 0; j < data.factors[0].q; ++j) {
    for (std::size_t f = 1; f < rows.size(); ++f) {
      const Cross& cross = with_first[f - 1];
      const Index kf = rows[f].Z.cols();
      for (int at = cross.start[static_cast<std::size_t>(j)];
           at < cross.start[static_cast<std::size_t>(j) + 1]; ++at) {
        const double* value = cross.value.data() + static_cast<Index>(at) * k * kf;
        const Index first = offset[f] + cross.level[static_cast<std::size_t>(at)] * kf;
        for (Index b = 0; b < kf; ++b) {
          const Index to = static_cast<Index>(data.column.size());
          for (Index a = 0; a < k; ++a) data.cross(a, to) = *value++;
          data.column.push_back(static_cast<int>(first + b));
        }
      }
    }
    data.start.push_back(static_cast<int>(data.column.size()));
  }
}

}  // namespace

Index first_factor(const std::vector<Index>& effects) {
  return std::max_element(effects.begin(), effects.end()) - effects.begin();
}

BlockedData blocked_data(const std::vector<FactorRows>& rows, const ConstMatrixRef& Xy) {
  BlockedData data;
  data.n = Xy.rows();
  data.p = Xy.cols() - 1;
  for (const FactorRows& factor : rows) {
    Factor shape;
    shape.q = factor.q;
    shape.k = factor.Z.cols();
    data.factors.push_back(shape);
  }
  own_products(rows[0], Xy, data.A, data.B);
  data.count.assign(static_cast<std::size_t>(rows[0].q), 1);
  data.slice.resize(static_cast<std::size_t>(rows[0].q) + 1);
  std::iota(data.slice.begin(), data.slice.end(), 0);
  data.rest_Xy.resize(0, Xy.cols());
  if (rows.size() > 1) add_rest(rows, Xy, data);
  data.C = Xy.transpose() * Xy;
  return data;
}

BlockedData merged_levels(const BlockedData& data) {
  if (data.factors.size() > 1) return data;
  const Index k = data.factors[0].k, width = data.p + 1, q = data.classes();
  const auto bytes = static_cast<std::size_t>(k * k) * sizeof(double);
  const auto A_of = [&](Index j) { return data.A.data() + j * k * k; };
  std::vector<Index> order(static_cast<std::size_t>(q));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](Index a, Index b) {
    return std::memcmp(A_of(a), A_of(b), bytes) < 0;
  });
  BlockedData out = data;
  out.count.clear();
  out.slice.assign(1, 0);
  std::vector<Index> first;
  std::vector<Matrix> slices;
  for (std::size_t from = 0, to; from < order.size(); from = to) {
    to = from + 1;
    while (to < order.size() &&
           std::memcmp(A_of(order[from]), A_of(order[to]), bytes) == 0)
      ++to;
    const Index m = static_cast<Index>(to - from);
    Matrix stacked(m, k * width);
    for (Index i = 0; i < m; ++i) {
      const Index j = order[from + static_cast<std::size_t>(i)];
      stacked.row(i) = Eigen::Map<const Vector>(data.B.data() + j * k * width, k * width);
    }
    if (m > k * width) {
      // levels that are turned into one another leave every sum over them as it is
      const Eigen::HouseholderQR<Matrix> qr(stacked);
      stacked = Matrix(qr.matrixQR().topRows(k * width).triangularView<Eigen::Upper>());
    }
    first.push_back(order[from]);
    out.count.push_back(static_cast<int>(m));
    out.slice.push_back(out.slice.back() + static_cast<int>(stacked.rows()));
    slices.push_back(std::move(stacked));
  }
  out.A.resize(k, k * out.classes());
  out.B.resize(k, width * out.slice.back());
  Index at = 0;
  for (Index c = 0; c < out.classes(); ++c) {
    const auto i = static_cast<std::size_t>(c);
    out.A.middleCols(c * k, k) = data.A.middleCols(first[i] * k, k);
    for (Index s = 0; s < slices[i].rows(); ++s, ++at) {
      Eigen::Map<Vector>(out.B.data() + at * k * width, k * width) = slices[i].row(s);
    }
  }
  return out;
}

Blocked::Blocked(const BlockedData& data)
    : data_(data), covariance_(data.sizes), offset_(rest_offsets(data.factors)) {
  components_.resize(static_cast<std::size_t>(covariance_.count()));
  for (std::size_t f = 0; f < data.factors.size(); ++f) {
    Index first = 0;
    for (int t : data.factors[f].terms) {
      const Index k = covariance_.size(t);
      auto at = static_cast<std::size_t>(covariance_.first(t));
      for (Index c = 0; c < k; ++c) {
        for (Index r = c; r < k; ++r) components_[at++] = {f, first + r, first + c};
      }
      first += k;
    }
  }
  if (data.rest_size() == 0) return;
  std::vector<RestBlock> blocks;
  for (std::size_t f = 1; f < data.factors.size(); ++f) {
    blocks.push_back({data.factors[f].q, data.factors[f].k});
  }
  rest_ = make_rest(data.rest, blocks, data.start, data.column);
}

bool Blocked::exact_is_cheap() const {
  return data_.rest_size() <= 200;
}

// T of a factor, block diagonal over its terms.
Matrix Blocked::factor_T(const Vector& theta, std::size_t f) const {
  const Factor& factor = data_.factors[f];
  Matrix T = Matrix::Zero(factor.k, factor.k);
  Index first = 0;
  for (int t : factor.terms) {
    const Index k = covariance_.size(t);
    T.block(first, first, k, k) = covariance_.lower(theta, t);
    first += k;
  }
  return T;
}

// The levels of the first factor, then the rest: log|H| and [X y]'H^-1[X y].
void Blocked::eliminate(const Vector& theta, Moments& out) {
  const Index k = data_.factors[0].k, width = data_.p + 1;
  T_.clear();
  for (std::size_t f = 0; f < data_.factors.size(); ++f) T_.push_back(factor_T(theta, f));
  const Matrix T = T_[0], Tt = T.transpose();
  out.logdet = 0;
  out.S = data_.C;
  F_.resize(k, data_.A.cols());
  V_.resize(k, data_.A.cols());
  G_.resize(k, data_.A.cols());
  if (rest_) rest_->reset();
  Matrix rest_Xy = data_.rest_Xy, inner(k, k), R(k, k), RA(k, k), RB, RK, KK;
  for (Index c = 0; c < data_.classes(); ++c) {
    const auto at = static_cast<std::size_t>(c);
    const auto A = data_.A.middleCols(c * k, k);
    inner.noalias() = Tt.lazyProduct(A.lazyProduct(T));
    inner.diagonal().array() += 1;
    // L L' = T'A T + I, R = L^-1 T': none of it needs T to be invertible
    const Eigen::LLT<Eigen::Ref<Matrix>> llt(inner);
    R = Tt;
    llt.matrixL().solveInPlace(R);
    out.logdet += 2 * data_.count[at] * inner.diagonal().array().log().sum();
    RA.noalias() = R.lazyProduct(A);
    F_.middleCols(c * k, k).noalias() = R.transpose().lazyProduct(R);
    G_.middleCols(c * k, k) = A;
    G_.middleCols(c * k, k).noalias() -= RA.transpose().lazyProduct(RA);
    V_.middleCols(c * k, k).setIdentity();
    V_.middleCols(c * k, k).noalias() -= RA.transpose().lazyProduct(R);
    for (Index s = data_.slice[at]; s < data_.slice[at + 1]; ++s) {
      RB.noalias() = R.lazyProduct(data_.B.middleCols(s * width, width));
      out.S.noalias() -= RB.transpose().lazyProduct(RB);
    }
    if (!rest_) continue;
    const Index from = data_.start[at], size = data_.start[at + 1] - from;
    RK.noalias() = R.lazyProduct(data_.cross.middleCols(from, size));
    KK.noalias() = RK.transpose().lazyProduct(RK);
    rest_->subtract(c, data_.column.data() + from, size, KK);
    for (Index i = 0; i < size; ++i) {
      rest_Xy.row(data_.column[static_cast<std::size_t>(from + i)]) -=
          RK.col(i).transpose() * RB;
    }
  }
  if (!rest_) return;
  out.logdet += rest_->factor({T_.begin() + 1, T_.end()});
  const Matrix half = rest_->half(rest_Xy);
  out.S.noalias() -= half.transpose() * half;
  X_ = std::move(rest_Xy);  // N-side of it until whiten()
}

namespace {

// tr(A D) for the direction D of a component.
double along(const ConstMatrixRef& A, Index row, Index col) {
  return row == col ? A(row, row) : A(row, col) + A(col, row);
}

// E'D E.
void add_along(const ConstMatrixRef& E, Index row, Index col, Matrix& out) {
  out.noalias() += E.row(row).transpose() * E.row(col);
  if (row != col) out.noalias() += E.row(col).transpose() * E.row(row);
}

// D E.
template <class From>
Matrix directed(const From& E, Index row, Index col) {
  Matrix out = Matrix::Zero(E.rows(), E.cols());
  out.row(row) = E.row(col);
  if (row != col) out.row(col) = E.row(row);
  return out;
}

}  // namespace

// Z'H^-1[X y], and the moments that follow from it.
void Blocked::whiten(Moments& out) {
  const Index k = data_.factors[0].k, width = data_.p + 1;
  const auto count = components_.size();
  out.trace = Vector::Zero(static_cast<Index>(count));
  out.W.assign(count, Matrix::Zero(width, width));
  E_.assign(data_.factors.size(), Matrix());
  if (rest_) {
    rest_->invert();
    const Matrix NXy = std::move(X_);
    X_ = rest_->multiply_M(NXy);
    const Matrix E = NXy - rest_->multiply_N(X_);
    for (std::size_t f = 1; f < data_.factors.size(); ++f) {
      const Factor& factor = data_.factors[f];
      E_[f].resize(factor.k, width * factor.q);
      for (Index l = 0; l < factor.q; ++l) {
        E_[f].middleCols(l * width, width) =
            E.middleRows(offset_[f] + l * factor.k, factor.k);
      }
      const Matrix G = rest_->whitened_blocks(f - 1);
      for (std::size_t c = 0; c < count; ++c) {
        if (components_[c].factor != f) continue;
        for (Index l = 0; l < factor.q; ++l) {
          out.trace(static_cast<Index>(c)) +=
              along(G.middleCols(l * factor.k, factor.k), components_[c].row,
                    components_[c].col);
        }
      }
    }
  }
  if (rest_) through_.resize(k, data_.A.cols());
  E_[0].resize(k, data_.B.cols());
  Matrix B, U, M, G(k, k);
  for (Index c = 0; c < data_.classes(); ++c) {
    const auto at = static_cast<std::size_t>(c);
    const auto V = V_.middleCols(c * k, k);
    G = G_.middleCols(c * k, k);
    if (rest_) {
      const Index from = data_.start[at], size = data_.start[at + 1] - from;
      const auto cross = data_.cross.middleCols(from, size);
      B = data_.B.middleCols(c * width, width);
      for (Index i = 0; i < size; ++i) {
        B.noalias() -=
            cross.col(i) * X_.row(data_.column[static_cast<std::size_t>(from + i)]);
      }
      E_[0].middleCols(c * width, width).noalias() = V.lazyProduct(B);
      rest_->at(data_.column.data() + from, size, M);
      U.noalias() = V.lazyProduct(cross);
      through_.middleCols(c * k, k).noalias() = U * M * U.transpose();
      G -= through_.middleCols(c * k, k);
    } else {
      for (Index s = data_.slice[at]; s < data_.slice[at + 1]; ++s) {
        E_[0].middleCols(s * width, width).noalias() =
            V.lazyProduct(data_.B.middleCols(s * width, width));
      }
    }
    for (std::size_t i = 0; i < count; ++i) {
      if (components_[i].factor != 0) continue;
      out.trace(static_cast<Index>(i)) +=
          data_.count[at] * along(G, components_[i].row, components_[i].col);
    }
  }
  if (!rest_) return;
  for (std::size_t i = 0; i < count; ++i) {
    const Matrix& E = E_[components_[i].factor];
    for (Index at = 0; at < E.cols(); at += width) {
      add_along(E.middleCols(at, width), components_[i].row, components_[i].col,
                out.W[i]);
    }
  }
}

// Of a single factor: W, and where it is exact WW, from the cross-products of all
// elements of E_j over the slices of a class. D_c is a sum of one or two e_x e_y'.
void Blocked::add_class_products(Moments& out, bool exact) const {
  const auto count = components_.size();
  const Index width = data_.p + 1, k = data_.factors[0].k, size = k * width;
  if (exact) out.WW.assign(count * count, Matrix::Zero(width, width));
  Matrix sums(size, size);
  for (Index c = 0; c < data_.classes(); ++c) {
    const auto at = static_cast<std::size_t>(c);
    const Index slices = data_.slice[at + 1] - data_.slice[at];
    const Eigen::Map<const Matrix> E(E_[0].data() + data_.slice[at] * size, size, slices);
    sums.noalias() = E.lazyProduct(E.transpose());
    const double* G = G_.data() + c * k * k;
    // out += weight * sum over slices of E_x'E_y
    const auto add = [&](Matrix& to, Index x, Index y, double weight) {
      for (Index b = 0; b < width; ++b) {
        const double* from = sums.data() + (y + k * b) * size + x;
        double* target = to.data() + b * width;
        for (Index a = 0; a < width; ++a) target[a] += weight * from[k * a];
      }
    };
    for (std::size_t i = 0; i < count; ++i) {
      const Index x = components_[i].row, y = components_[i].col;
      add(out.W[i], x, y, 1);
      if (x != y) add(out.W[i], y, x, 1);
      if (!exact) continue;
      for (std::size_t j = 0; j < count; ++j) {
        const Index u = components_[j].row, v = components_[j].col;
        Matrix& to = out.WW[i * count + j];
        add(to, y, v, G[x + k * u]);
        if (x != y) add(to, x, v, G[y + k * u]);
        if (u != v) add(to, y, u, G[x + k * v]);
        if (x != y && u != v) add(to, x, u, G[y + k * v]);
      }
    }
  }
}

// Z'H^-1 Z K for K of `columns` columns; there is a rest.
Blocked::Stacked Blocked::apply(const Stacked& K, Index columns) const {
  const Index k = data_.factors[0].k, r = data_.rest_size();
  Matrix of_rest = Matrix::Zero(r, columns);
  for (std::size_t f = 1; f < data_.factors.size(); ++f) {
    const Factor& factor = data_.factors[f];
    if (K[f].size() == 0) continue;
    for (Index l = 0; l < factor.q; ++l) {
      of_rest.middleRows(offset_[f] + l * factor.k, factor.k) =
          K[f].middleCols(l * columns, columns);
    }
  }
  Matrix NB = data_.rest.selfadjointView<Eigen::Lower>() * of_rest;
  Matrix B(k, columns * data_.classes()), FB;
  for (Index c = 0; c < data_.classes(); ++c) {
    const auto at = static_cast<std::size_t>(c);
    auto mine = B.middleCols(c * columns, columns);
    mine.setZero();
    const Index from = data_.start[at], size = data_.start[at + 1] - from;
    for (Index i = 0; i < size; ++i) {
      mine.noalias() += data_.cross.col(from + i) *
                        of_rest.row(data_.column[static_cast<std::size_t>(from + i)]);
    }
    // what the first factor brings itself, less what its elimination takes
    FB.noalias() = -F_.middleCols(c * k, k).lazyProduct(mine);
    if (K[0].size() > 0) {
      const auto own = K[0].middleCols(c * columns, columns);
      const auto A = data_.A.middleCols(c * k, k);
      FB.noalias() += V_.middleCols(c * k, k).transpose().lazyProduct(own);
      mine.noalias() += A.lazyProduct(own);
    }
    for (Index i = 0; i < size; ++i) {
      NB.row(data_.column[static_cast<std::size_t>(from + i)]) +=
          data_.cross.col(from + i).transpose() * FB;
    }
  }
  const Matrix X = rest_->multiply_M(NB);
  const Matrix E = NB - rest_->multiply_N(X);
  Stacked out(data_.factors.size());
  for (std::size_t f = 1; f < data_.factors.size(); ++f) {
    const Factor& factor = data_.factors[f];
    out[f].resize(factor.k, columns * factor.q);
    for (Index l = 0; l < factor.q; ++l) {
      out[f].middleCols(l * columns, columns) =
          E.middleRows(offset_[f] + l * factor.k, factor.k);
    }
  }
  out[0].resize(k, columns * data_.classes());
  for (Index c = 0; c < data_.classes(); ++c) {
    const auto at = static_cast<std::size_t>(c);
    auto mine = B.middleCols(c * columns, columns);
    for (Index i = data_.start[at]; i < data_.start[at + 1]; ++i) {
      mine.noalias() -=
          data_.cross.col(i) * X.row(data_.column[static_cast<std::size_t>(i)]);
    }
    out[0].middleCols(c * columns, columns).noalias() =
        V_.middleCols(c * k, k).lazyProduct(mine);
  }
  return out;
}

// D_c E, of the factor of the component alone.
Blocked::Stacked Blocked::direction(const Stacked& E, std::size_t c) const {
  const Component& at = components_[c];
  Stacked out(E.size());
  out[at.factor] = Matrix::Zero(E[at.factor].rows(), E[at.factor].cols());
  out[at.factor].row(at.row) = E[at.factor].row(at.col);
  if (at.row != at.col) out[at.factor].row(at.col) = E[at.factor].row(at.row);
  return out;
}

// E'D_c G.
Matrix Blocked::inner(const Stacked& E, const Stacked& G, Index width,
                      std::size_t c) const {
  const Component& at = components_[c];
  const Matrix &left = E[at.factor], &right = G[at.factor];
  Matrix out = Matrix::Zero(width, width);
  for (Index i = 0; i < left.cols(); i += width) {
    const auto from = left.middleCols(i, width), to = right.middleCols(i, width);
    out.noalias() += from.row(at.row).transpose() * to.row(at.col);
    if (at.row != at.col) out.noalias() += from.row(at.col).transpose() * to.row(at.row);
  }
  return out;
}

// y'P G_c P G_d P y.
void Blocked::add_average(Moments& out) const {
  const auto count = components_.size();
  const Index width = data_.p + 1;
  const ProfiledFixed fixed = profiled_fixed(out.S);
  out.average = Matrix::Zero(out.trace.size(), out.trace.size());
  if (!(fixed.s > 0)) return;
  Vector a(width);
  a.head(data_.p) = -fixed.beta;
  a(data_.p) = 1;
  Stacked v(E_.size());
  for (std::size_t f = 0; f < E_.size(); ++f) {
    const Index levels = E_[f].cols() / width;
    v[f].resize(E_[f].rows(), levels);
    for (Index l = 0; l < levels; ++l)
      v[f].col(l) = E_[f].middleCols(l * width, width) * a;
  }
  Matrix cross(data_.p, out.trace.size());
  for (std::size_t c = 0; c < count; ++c) {
    cross.col(static_cast<Index>(c)) = (out.W[c] * a).head(data_.p);
  }
  const Matrix taken = cross.transpose() * fixed.unscaled * cross;
  for (std::size_t d = 0; d < count; ++d) {
    const Stacked Gd = apply(direction(v, d), 1);
    for (std::size_t c = 0; c < count; ++c) {
      const auto i = static_cast<Index>(c), j = static_cast<Index>(d);
      out.average(i, j) = inner(v, Gd, 1, c)(0, 0) - taken(i, j);
    }
  }
  out.average = (0.5 * (out.average + out.average.transpose())).eval();
}

// [X y]'H^-1 G_c H^-1 G_d H^-1[X y].
void Blocked::add_products(Moments& out) const {
  const auto count = components_.size();
  const Index width = data_.p + 1;
  out.WW.assign(count * count, Matrix::Zero(width, width));
  for (std::size_t d = 0; d < count; ++d) {
    const Stacked Gd = apply(direction(E_, d), width);
    for (std::size_t c = 0; c < count; ++c)
      out.WW[c * count + d] = inner(E_, Gd, width, c);
  }
}

namespace {

// tr(A D_c B D_d) for symmetric A and B.
template <class A, class B, class C>
double traced(const A& a, const B& b, const C& c, const C& d) {
  double out = a(d.col, c.row) * b(c.col, d.row);
  if (c.row != c.col) out += a(d.col, c.col) * b(c.row, d.row);
  if (d.row != d.col) out += a(d.row, c.row) * b(c.col, d.col);
  if (c.row != c.col && d.row != d.col) out += a(d.row, c.col) * b(c.row, d.col);
  return out;
}

}  // namespace

// tr(H^-1 G_c H^-1 G_d): what the levels of the first factor give.
void Blocked::add_traces(Moments& out) const {
  const auto count = components_.size();
  const Index k = data_.factors[0].k;
  out.traces = Matrix::Zero(static_cast<Index>(count), static_cast<Index>(count));
  for (Index c = 0; c < data_.classes(); ++c) {
    const auto at = static_cast<std::size_t>(c);
    const auto G = G_.middleCols(c * k, k);
    for (std::size_t i = 0; i < count; ++i) {
      for (std::size_t j = 0; j <= i; ++j) {
        if (components_[i].factor != 0 || components_[j].factor != 0) continue;
        double value = traced(G, G, components_[i], components_[j]);
        if (rest_) {
          const auto M = through_.middleCols(c * k, k);
          value -= traced(G, M, components_[i], components_[j]) +
                   traced(M, G, components_[i], components_[j]);
        }
        out.traces(static_cast<Index>(i), static_cast<Index>(j)) +=
            data_.count[at] * value;
      }
    }
  }
  if (rest_) add_rest_traces(out);
  out.traces = Matrix(out.traces.selfadjointView<Eigen::Lower>());
}

namespace {

// A symmetric r x r matrix in the form that multiplies fastest.
class Summed {
 public:
  Summed(Index r, bool dense) : dense_(dense), r_(r) {
    if (dense_) full_ = Matrix::Zero(r, r);
  }
  void add(Index row, Index col, double value) {
    if (dense_) {
      full_(row, col) += value;
    } else {
      entries_.emplace_back(static_cast<int>(row), static_cast<int>(col), value);
    }
  }
  void finish() {
    if (dense_) return;
    sparse_.resize(r_, r_);
    sparse_.setFromTriplets(entries_.begin(), entries_.end());
    entries_.clear();
  }
  Matrix times(const Matrix& B) const {
    return dense_ ? Matrix(full_ * B) : Matrix(sparse_ * B);
  }

 private:
  bool dense_;
  Index r_;
  Matrix full_;
  SparseMatrix sparse_;
  Triplets entries_;
};

}  // namespace

// With U_j = Z_j'H_1^-1 Z_rest, N_c = sum_j U_j'D_c U_j and Y = I - M N, and (.)_ll the
// diagonal blocks of the rest, what is left is
//   both in the first factor   tr(M N_c M N_d)
//   one of them, d in the rest tr(D_d (Y'N_c Y)_ll)
//   both in the rest           the sum over pairs of blocks of tr(G D_c G D_d), G = N Y.
// All of it a panel of columns of the rest at a time.
void Blocked::add_rest_traces(Moments& out) const {
  const auto count = components_.size();
  const Index k = data_.factors[0].k, r = data_.rest_size();
  std::vector<Summed> Nc;
  std::vector<std::size_t> first;
  for (std::size_t c = 0; c < count; ++c) {
    if (components_[c].factor != 0) continue;
    first.push_back(c);
    Nc.emplace_back(r, rest_->dense());
    Matrix U;
    for (Index j = 0; j < data_.classes(); ++j) {
      const auto at = static_cast<std::size_t>(j);
      const Index from = data_.start[at], size = data_.start[at + 1] - from;
      U = V_.middleCols(j * k, k) * data_.cross.middleCols(from, size);
      const Matrix DU = directed(U, components_[c].row, components_[c].col);
      const Matrix UDU = U.transpose() * DU;
      for (Index b = 0; b < size; ++b) {
        for (Index a = 0; a < size; ++a) {
          Nc.back().add(data_.column[static_cast<std::size_t>(from + a)],
                        data_.column[static_cast<std::size_t>(from + b)], UDU(a, b));
        }
      }
    }
    Nc.back().finish();
  }
  for (std::size_t g = 1; g < data_.factors.size(); ++g) {
    const Index kg = data_.factors[g].k;
    const Index panel = std::max<Index>(1, (rest_->dense() ? 512 : 64) / kg);
    for (Index l = 0; l < data_.factors[g].q; l += panel) {
      const Index levels = std::min(panel, data_.factors[g].q - l), width = levels * kg;
      const Index from = offset_[g] + l * kg;
      Matrix unit = Matrix::Zero(r, width);
      for (Index i = 0; i < width; ++i) unit(from + i, i) = 1;
      const Matrix M = rest_->multiply_M(unit);
      Matrix Y = unit - rest_->multiply_M(rest_->multiply_N(unit));
      const Matrix G = rest_->multiply_N(Y);
      std::vector<Matrix> MN, NM, NY;
      for (const Summed& N : Nc) {
        MN.push_back(rest_->multiply_M(N.times(unit)));
        NM.push_back(N.times(M));
        NY.push_back(N.times(Y));
      }
      for (std::size_t a = 0; a < first.size(); ++a) {
        const auto i = static_cast<Index>(first[a]);
        for (std::size_t b = 0; b <= a; ++b) {
          out.traces(i, static_cast<Index>(first[b])) += MN[a].cwiseProduct(NM[b]).sum();
        }
      }
      for (std::size_t d = 0; d < count; ++d) {
        if (components_[d].factor != g) continue;
        const Index row = components_[d].row, col = components_[d].col;
        for (std::size_t a = 0; a < first.size(); ++a) {
          double value = 0;
          for (Index at = 0; at < width; at += kg) {
            value += Y.col(at + row).dot(NY[a].col(at + col));
            if (row != col) value += Y.col(at + col).dot(NY[a].col(at + row));
          }
          const auto i = static_cast<Index>(std::max(d, first[a]));
          out.traces(i, static_cast<Index>(std::min(d, first[a]))) += value;
        }
        for (std::size_t c = 0; c < count; ++c) {
          const Component& other = components_[c];
          if (other.factor == 0 || other.factor > g || (other.factor == g && c > d))
            continue;
          const Index kf = data_.factors[other.factor].k;
          double value = 0;
          for (Index m = 0; m < data_.factors[other.factor].q; ++m) {
            const auto block = G.middleRows(offset_[other.factor] + m * kf, kf);
            for (Index at = 0; at < width; at += kg) {
              // tr(D_c G_ml D_d G_lm)
              const auto one = [&](Index x, Index y, Index u, Index v) {
                return block(x, at + u) * block(y, at + v);
              };
              value += one(other.row, other.col, row, col);
              if (other.row != other.col) value += one(other.col, other.row, row, col);
              if (row != col) value += one(other.row, other.col, col, row);
              if (other.row != other.col && row != col)
                value += one(other.col, other.row, col, row);
            }
          }
          const auto i = static_cast<Index>(std::max(c, d));
          out.traces(i, static_cast<Index>(std::min(c, d))) += value;
        }
      }
    }
  }
}

void Blocked::update(const Vector& theta, Order order) {
  theta_.resize(0);  // nothing is there if this throws
  moments_ = Moments();
  eliminate(theta, moments_);
  if (order != Order::value) {
    whiten(moments_);
    if (!rest_) add_class_products(moments_, order == Order::exact);
    if (rest_ && order == Order::average) add_average(moments_);
    if (rest_ && order == Order::exact) add_products(moments_);
    if (order == Order::exact) add_traces(moments_);
  }
  theta_ = theta;
  order_ = order;
}

const Moments& Blocked::moments(const Vector& theta, Order order) {
  const bool same = theta_.size() == theta.size() && theta_ == theta;
  if (!same || order_ < order) update(theta, order);
  return moments_;
}

std::vector<Vector> Blocked::starts() const {
  std::vector<Vector> out = {moment_start()};
  const double r = static_cast<double>(data_.rest_size());
  const double cost =
      10.0 * static_cast<double>(data_.A.size() + data_.B.size()) + r * r * r;
  if (cost >= 1e5) return out;
  Vector diagonal = Vector::Zero(covariance_.count()), small_slopes = diagonal;
  for (Index t = 0; t < covariance_.terms(); ++t) {
    const Index k = covariance_.size(t);
    Matrix T = Matrix::Identity(k, k);
    covariance_.pack(T, t, diagonal);
    T.diagonal().tail(k - 1).setConstant(0.1);
    covariance_.pack(T, t, small_slopes);
  }
  const bool slopes = covariance_.count() > covariance_.terms();
  out.push_back(10 * diagonal);
  out.push_back(slopes ? small_slopes : Vector(0.1 * diagonal));
  return out;
}

Vector Blocked::moment_start() const {
  const Index p = data_.p, width = p + 1, k = data_.factors[0].k;
  const double n = static_cast<double>(data_.n);
  const double total = data_.C(p, p) / (n - static_cast<double>(p));
  Vector share = Vector::Zero(covariance_.count());
  double explained = 0;
  for (std::size_t c = 0; c < components_.size(); ++c) {
    if (components_[c].row != components_[c].col) continue;
    const Index a = components_[c].row;
    double between = 0, trace = 0, squares = 0;  // (Z'r)^2, Z'Z and its square, by level
    if (components_[c].factor == 0) {
      for (Index j = 0; j < data_.classes(); ++j) {
        const auto at = static_cast<std::size_t>(j);
        const double zz = data_.A(a, j * k + a);
        trace += data_.count[at] * zz;
        squares += data_.count[at] * zz * zz;
        for (Index s = data_.slice[at]; s < data_.slice[at + 1]; ++s) {
          between += data_.B(a, s * width + p) * data_.B(a, s * width + p);
        }
      }
    } else {
      const Factor& factor = data_.factors[components_[c].factor];
      for (Index l = 0; l < factor.q; ++l) {
        const Index i = offset_[components_[c].factor] + l * factor.k + a;
        const double zz = data_.rest.coeff(i, i);
        trace += zz;
        squares += zz * zz;
        between += data_.rest_Xy(i, p) * data_.rest_Xy(i, p);
      }
    }
    const auto at = static_cast<Index>(c);
    share(at) = squares > 0 ? std::max(0.0, between / total - trace) / squares : 0;
    explained += share(at) * trace / n;
  }
  const double left = std::max(0.1, 1 - explained);
  for (std::size_t c = 0; c < components_.size(); ++c) {
    if (components_[c].row != components_[c].col) continue;
    double& at = share(static_cast<Index>(c));
    at = std::sqrt(std::min(100.0, std::max(0.01, at / left)));
  }
  return share;
}

std::vector<Blocked::Effects> Blocked::effects(const Vector& theta, bool variances) {
  const ProfiledFixed fixed = profiled_fixed(moments(theta, Order::gradient).S);
  const Index p = data_.p, width = p + 1;
  Vector a(width);
  a.head(p) = -fixed.beta;
  a(p) = 1;
  std::vector<Effects> out(data_.factors.size());
  Matrix M, FK;
  for (std::size_t f = 0; f < out.size(); ++f) {
    const Index k = data_.factors[f].k, q = data_.factors[f].q;
    const Matrix psi = T_[f] * T_[f].transpose();
    out[f].mode.resize(k, q);
    if (variances) {
      out[f].conditional.resize(k, k * q);
      out[f].prediction.resize(k, k * q);
    }
    for (Index j = 0; j < q; ++j) {
      const Matrix psi_E = psi * E_[f].middleCols(j * width, width);
      out[f].mode.col(j) = psi_E * a;
      if (!variances) continue;
      auto conditional = out[f].conditional.middleCols(j * k, k);
      if (f > 0) {
        std::vector<int> columns(static_cast<std::size_t>(k));
        std::iota(columns.begin(), columns.end(), static_cast<int>(offset_[f] + j * k));
        rest_->at(columns.data(), k, M);
        conditional = M;
      } else {
        conditional = F_.middleCols(j * k, k);
        if (rest_) {
          const auto i = static_cast<std::size_t>(j);
          const Index from = data_.start[i], size = data_.start[i + 1] - from;
          rest_->at(data_.column.data() + from, size, M);
          FK.noalias() = F_.middleCols(j * k, k) * data_.cross.middleCols(from, size);
          conditional += FK * M * FK.transpose();
        }
      }
      const Matrix of_X = psi_E.leftCols(p);
      out[f].prediction.middleCols(j * k, k) =
          conditional + of_X * fixed.unscaled * of_X.transpose();
    }
  }
  return out;
}

namespace {

// Adds t'M t to elements of `out`, for vectors t of few elements.
class SparseForms {
 public:
  SparseForms(const Rest& rest, Index size, Vector& out)
      : rest_(rest), out_(out), t_(Vector::Zero(size)) {}

  // To the elements of t from `first`, the level of a factor.
  void add(Index first, const ConstVectorRef& values) {
    for (Index a = 0; a < values.size(); ++a) {
      columns_.push_back(static_cast<int>(first + a));
      t_(first + a) += values(a);
    }
  }

  // together: M is known among all the elements of t, see Rest::at().
  void finish(Index i, bool together) {
    std::sort(columns_.begin(), columns_.end());
    columns_.erase(std::unique(columns_.begin(), columns_.end()), columns_.end());
    if (together || rest_.dense()) {
      const auto size = static_cast<Index>(columns_.size());
      rest_.at(columns_.data(), size, M_);
      Vector values(size);
      for (Index a = 0; a < size; ++a)
        values(a) = t_(columns_[static_cast<std::size_t>(a)]);
      out_(i) += values.dot(M_ * values);
    } else {
      if (panel_.size() == 0) panel_ = Matrix::Zero(t_.size(), 64);
      auto to = panel_.col(static_cast<Index>(waiting_.size()));
      for (int column : columns_) to(column) = t_(column);
      waiting_.push_back(i);
      if (static_cast<Index>(waiting_.size()) == panel_.cols()) flush();
    }
    for (int column : columns_) t_(column) = 0;
    columns_.clear();
  }

  void flush() {
    if (waiting_.empty()) return;
    const auto count = static_cast<Index>(waiting_.size());
    const Matrix solved = rest_.multiply_M(panel_.leftCols(count));
    for (Index c = 0; c < count; ++c) {
      out_(waiting_[static_cast<std::size_t>(c)]) += panel_.col(c).dot(solved.col(c));
    }
    panel_.setZero();
    waiting_.clear();
  }

 private:
  const Rest& rest_;
  Vector& out_;
  Vector t_;
  std::vector<int> columns_;
  Matrix M_, panel_;
  std::vector<Index> waiting_;
};

}  // namespace

// z'Var(u | y) z over the levels that the data have: with z_1 for the first factor and
// z_r for the rest it is z_1'F z_1 + t'M t, t = z_r - K'F z_1. Level by level of the
// first factor, as most rows are combinations that the data have, and then M is known.
void Blocked::add_conditional(const std::vector<FactorRows>& rows, Vector& out) const {
  const Index k = data_.factors[0].k;
  const std::vector<int>& first = rows[0].level;
  std::vector<int> order(first.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    return first[static_cast<std::size_t>(a)] < first[static_cast<std::size_t>(b)];
  });
  SparseForms forms(*rest_, data_.rest_size(), out);
  Index last = -1, from = 0, size = 0;
  Matrix M, FK, MKF, own;
  std::vector<Index> place;
  for (int i : order) {
    const auto row = static_cast<std::size_t>(i);
    const Index j = first[row];
    if (j != last) {
      const auto at = static_cast<std::size_t>(j);
      from = data_.start[at];
      size = data_.start[at + 1] - from;
      const auto F = F_.middleCols(j * k, k);
      rest_->at(data_.column.data() + from, size, M);
      FK.noalias() = F * data_.cross.middleCols(from, size);
      MKF.noalias() = M * FK.transpose();
      own = F;
      own.noalias() += FK * MKF;
      last = j;
    }
    const bool met = j >= 0 && places(rows, row, from, size, place);
    const Vector z = rows[0].Z.row(i);
    if (met) out(i) += z.dot(own * z);
    Index known = 0;
    for (std::size_t f = 1; f < rows.size(); ++f) {
      const Index l = rows[f].level[row], kf = data_.factors[f].k;
      if (l < 0) continue;
      const Vector zf = rows[f].Z.row(i);
      ++known;
      if (!met) {
        forms.add(offset_[f] + l * kf, zf);
        continue;
      }
      out(i) -= 2 * zf.dot(MKF.middleRows(place[f], kf) * z);
      for (std::size_t g = 1; g < rows.size(); ++g) {
        if (rows[g].level[row] < 0) continue;
        const Index kg = data_.factors[g].k;
        out(i) +=
            zf.dot(M.block(place[f], place[g], kf, kg) * rows[g].Z.row(i).transpose());
      }
    }
    if (met) continue;
    if (j >= 0) {
      out(i) += z.dot(F_.middleCols(j * k, k) * z);
      const Vector t = -FK.transpose() * z;
      for (Index c = 0; c < size; ++c) {
        forms.add(data_.column[static_cast<std::size_t>(from + c)], t.segment(c, 1));
      }
    }
    forms.finish(i, j < 0 && known <= 1);
  }
  forms.flush();
}

// Where the levels of a row stand among the columns of a level of the first factor; false
// where they do not all meet it.
bool Blocked::places(const std::vector<FactorRows>& rows, std::size_t row, Index from,
                     Index size, std::vector<Index>& place) const {
  const int* columns = data_.column.data() + from;
  place.assign(rows.size(), 0);
  for (std::size_t f = 1; f < rows.size(); ++f) {
    const Index l = rows[f].level[row];
    if (l < 0) continue;
    const int wanted = static_cast<int>(offset_[f] + l * data_.factors[f].k);
    place[f] = std::lower_bound(columns, columns + size, wanted) - columns;
    if (place[f] == size || columns[place[f]] != wanted) return false;
  }
  return true;
}

Vector Blocked::row_variances(const Vector& theta, const std::vector<FactorRows>& rows,
                              const ConstMatrixRef& X) {
  const ProfiledFixed fixed = profiled_fixed(moments(theta, Order::gradient).S);
  const Index p = data_.p, width = p + 1, k = data_.factors[0].k;
  std::vector<Matrix> psi;
  for (const Matrix& T : T_) psi.push_back(T * T.transpose());
  Vector out = Vector::Zero(X.rows());
  Vector x(p), z, psi_z;
  for (Index i = 0; i < out.size(); ++i) {
    x = X.row(i);
    for (std::size_t f = 0; f < rows.size(); ++f) {
      const Index l = rows[f].level[static_cast<std::size_t>(i)];
      z = rows[f].Z.row(i);
      psi_z.noalias() = psi[f] * z;
      if (l < 0) {
        out(i) += z.dot(psi_z);
        continue;
      }
      x.noalias() -= E_[f].middleCols(l * width, p).transpose() * psi_z;
      if (!rest_) out(i) += z.dot(F_.middleCols(l * k, k) * z);
    }
    out(i) += x.dot(fixed.unscaled * x);
  }
  if (rest_) add_conditional(rows, out);
  return out;
}

}  // namespace kinlmm
