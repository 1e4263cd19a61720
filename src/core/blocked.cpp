#include "core/blocked.h"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <utility>

#include "core/criterion.h"
#include "core/parallel.h"

namespace kinlmm {

Blocked::Blocked(const BlockedData& data, int threads)
    : data_(data),
      threads_(threads),
      covariance_(data.sizes),
      components_(factor_components(data)),
      offset_(rest_offsets(data.factors)) {
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
  Matrix rest_Xy = data_.rest_Xy, inner(k, k), R(k, k), RA(k, k), RB;
  Matrix RK(k, data_.cross.cols());
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
    RK.middleCols(from, size).noalias() =
        R.lazyProduct(data_.cross.middleCols(from, size));
    for (Index i = from; i < from + size; ++i) {
      rest_Xy.row(data_.column[static_cast<std::size_t>(i)]).noalias() -=
          RK.col(i).transpose().lazyProduct(RB);
    }
  }
  if (!rest_) return;
  rest_->complement(RK, threads_);
  out.logdet += rest_->factor({T_.begin() + 1, T_.end()});
  if (!std::isfinite(out.logdet)) {
    out.S.setZero();
    return;
  }
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

}  // namespace

// The rows of E (r x columns) that belong to each factor of the rest.
void Blocked::unstack(const Matrix& E, Index columns, Stacked& out) const {
  for (std::size_t f = 1; f < data_.factors.size(); ++f) {
    const Factor& factor = data_.factors[f];
    out[f].resize(factor.k, columns * factor.q);
    for (Index l = 0; l < factor.q; ++l) {
      out[f].middleCols(l * columns, columns) =
          E.middleRows(offset_[f] + l * factor.k, factor.k);
    }
  }
}

// Z'H^-1[X y] and traces of the factors of the rest.
void Blocked::whiten_rest(Moments& out) {
  const Index width = data_.p + 1;
  rest_->invert();
  const Matrix NXy = std::move(X_);
  X_ = rest_->multiply_M(NXy);
  const Matrix E = NXy - rest_->multiply_N(X_);
  unstack(E, width, E_);
  for (std::size_t f = 1; f < data_.factors.size(); ++f) {
    const Factor& factor = data_.factors[f];
    const Matrix G = rest_->whitened_blocks(f - 1);
    for (std::size_t c = 0; c < components_.size(); ++c) {
      if (components_[c].factor != f) continue;
      for (Index l = 0; l < factor.q; ++l) {
        out.trace(static_cast<Index>(c)) += along(G.middleCols(l * factor.k, factor.k),
                                                  components_[c].row, components_[c].col);
      }
    }
  }
}

// Z_j'H^-1[X y], and U_j M U_j', of levels of the first factor.
void Blocked::whiten_levels(Index first, Index last) {
  const Index k = data_.factors[0].k, width = data_.p + 1;
  Matrix B, U, M, UM;
  for (Index c = first; c < last; ++c) {
    const auto at = static_cast<std::size_t>(c);
    const auto V = V_.middleCols(c * k, k);
    if (!rest_) {
      for (Index s = data_.slice[at]; s < data_.slice[at + 1]; ++s) {
        E_[0].middleCols(s * width, width).noalias() =
            V.lazyProduct(data_.B.middleCols(s * width, width));
      }
      continue;
    }
    const Index from = data_.start[at], size = data_.start[at + 1] - from;
    const auto cross = data_.cross.middleCols(from, size);
    B = data_.B.middleCols(c * width, width);
    for (Index i = 0; i < size; ++i) {
      B.noalias() -= cross.col(i).lazyProduct(
          X_.row(data_.column[static_cast<std::size_t>(from + i)]));
    }
    E_[0].middleCols(c * width, width).noalias() = V.lazyProduct(B);
    rest_->at(data_.column.data() + from, size, M);
    U.noalias() = V.lazyProduct(cross);
    UM.noalias() = U.lazyProduct(M);
    through_.middleCols(c * k, k).noalias() = UM.lazyProduct(U.transpose());
  }
}

// Z'H^-1[X y], and the moments that follow from it.
void Blocked::whiten(Moments& out) {
  const Index k = data_.factors[0].k, width = data_.p + 1;
  const auto count = components_.size();
  out.W.assign(count, Matrix::Zero(width, width));
  E_.assign(data_.factors.size(), Matrix());
  if (rest_) {
    whiten_rest(out);
    through_.resize(k, data_.A.cols());
  }
  E_[0].resize(k, data_.B.cols());
  constexpr Index kLevels = 256;  // of a part, worth a thread
  const Index parts = rest_ ? (data_.classes() + kLevels - 1) / kLevels : 1;
  parallel_for(parts, rest_ ? threads_ : 1, [&](Index part) {
    const Index first = rest_ ? part * kLevels : 0;
    whiten_levels(first,
                  rest_ ? std::min(first + kLevels, data_.classes()) : data_.classes());
  });
  Matrix G(k, k);
  for (Index c = 0; c < data_.classes(); ++c) {
    G = G_.middleCols(c * k, k);
    if (rest_) G -= through_.middleCols(c * k, k);
    for (std::size_t i = 0; i < count; ++i) {
      if (components_[i].factor != 0) continue;
      out.trace(static_cast<Index>(i)) +=
          data_.count[static_cast<std::size_t>(c)] *
          along(G, components_[i].row, components_[i].col);
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
  unstack(E, columns, out);
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

// E'D_c (Z'H^-1 Z) D_d E for all pairs of components, at c * count + d; E has `width`
// columns for each level. Several d at a time, as all have the same passes over the rest.
std::vector<Matrix> Blocked::second_products(const Stacked& E, Index width) const {
  const auto count = components_.size();
  const auto most = static_cast<std::size_t>(std::max<Index>(1, 64 / width));
  std::vector<Matrix> out(count * count, Matrix::Zero(width, width));
  for (std::size_t first = 0; first < count; first += most) {
    const std::size_t last = std::min(count, first + most);
    const Index columns = width * static_cast<Index>(last - first);
    const Stacked G = apply(directions(E, width, first, last), columns);
    for (std::size_t c = 0; c < count; ++c) {
      const Component& at = components_[c];
      const Index levels = E[at.factor].cols() / width;
      for (std::size_t d = first; d < last; ++d) {
        Matrix& to = out[c * count + d];
        for (Index l = 0; l < levels; ++l) {
          const auto from = E[at.factor].middleCols(l * width, width);
          const auto other = G[at.factor].middleCols(
              l * columns + static_cast<Index>(d - first) * width, width);
          to.noalias() += from.row(at.row).transpose().lazyProduct(other.row(at.col));
          if (at.row != at.col) {
            to.noalias() += from.row(at.col).transpose().lazyProduct(other.row(at.row));
          }
        }
      }
    }
  }
  return out;
}

// D_d E for d in [first, last), side by side for each level.
Blocked::Stacked Blocked::directions(const Stacked& E, Index width, std::size_t first,
                                     std::size_t last) const {
  const Index columns = width * static_cast<Index>(last - first);
  Stacked out(E.size());
  for (std::size_t f = 0; f < E.size(); ++f) {
    const Index levels = E[f].cols() / width;
    out[f] = Matrix::Zero(E[f].rows(), levels * columns);
    for (std::size_t d = first; d < last; ++d) {
      const Component& at = components_[d];
      if (at.factor != f) continue;
      const Index begin = static_cast<Index>(d - first) * width;
      for (Index l = 0; l < levels; ++l) {
        auto to = out[f].middleCols(l * columns + begin, width);
        const auto from = E[f].middleCols(l * width, width);
        to.row(at.row) = from.row(at.col);
        if (at.row != at.col) to.row(at.col) = from.row(at.row);
      }
    }
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
  const std::vector<Matrix> products = second_products(v, 1);
  for (std::size_t c = 0; c < count; ++c) {
    for (std::size_t d = 0; d < count; ++d) {
      const auto i = static_cast<Index>(c), j = static_cast<Index>(d);
      out.average(i, j) = products[c * count + d](0, 0) - taken(i, j);
    }
  }
  out.average = (0.5 * (out.average + out.average.transpose())).eval();
}

// [X y]'H^-1 G_c H^-1 G_d H^-1[X y].
void Blocked::add_products(Moments& out) const {
  out.WW = second_products(E_, data_.p + 1);
}

void Blocked::update(const Vector& theta, Order order) {
  theta_.resize(0);  // nothing is there if this throws
  moments_ = Moments();
  moments_.trace = Vector::Zero(covariance_.count());
  eliminate(theta, moments_);
  if (!std::isfinite(moments_.logdet)) return;
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
  const bool enough = order_ == order || (order_ > order && order != Order::average);
  if (!same || !enough) update(theta, order);
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

}  // namespace kinlmm
