#include "core/identify.h"

#include <Eigen/Cholesky>
#include <algorithm>
#include <utility>
#include <vector>

namespace kinlmm {

namespace {

// A component of one factor, and how often it stands in G.
struct Own {
  Index at, row, col;
  double times;
};

// By factor.
std::vector<std::vector<Own>> own_components(const BlockedData& data) {
  std::vector<std::vector<Own>> out(data.factors.size());
  Index at = 0;
  for (const Component& c : factor_components(data)) {
    out[c.factor].push_back({at++, c.row, c.col, c.row == c.col ? 1.0 : 2.0});
  }
  return out;
}

class Products {
 public:
  explicit Products(const BlockedData& data)
      : data_(data),
        own_(own_components(data)),
        count_(Covariance(data.sizes).count()),
        M_(Matrix::Zero(count_ + 1, count_ + 1)),
        sizes_(Vector::Zero(count_)),
        R_(static_cast<std::size_t>(count_), Matrix::Zero(data.p, data.p)),
        offset_(rest_offsets(data.factors)) {}

  void run() {
    for (Index j = 0; j < factor(0).q; ++j) first_factor(j);
    for (Index f = 1; f < factors(); ++f) {
      for (Index j = 0; j < factor(f).q; ++j) rest_level(f, j);
    }
    for (Index c = 0; c < count_; ++c) {
      const Matrix& C = R_[static_cast<std::size_t>(c)];
      for (Index d = 0; d <= c; ++d) {
        M_(c, d) += C.cwiseProduct(R_[static_cast<std::size_t>(d)]).sum();
        M_(d, c) = M_(c, d);
      }
      M_(count_, c) -= C.trace();
      M_(c, count_) = M_(count_, c);
    }
    M_(count_, count_) = static_cast<double>(data_.n - data_.p);
  }

  ComponentProducts result() const { return {M_, sizes_}; }

 private:
  Index factors() const { return static_cast<Index>(data_.factors.size()); }
  const Factor& factor(Index f) const {
    return data_.factors[static_cast<std::size_t>(f)];
  }
  // Z_j'X of a level.
  ConstMatrixRef with_X(Index f, Index j) const {
    const Index k = factor(f).k;
    if (f > 0) return data_.rest_Xy.block(offset(f) + j * k, 0, k, data_.p);
    return data_.B.block(0, j * (data_.p + 1), k, data_.p);
  }
  Index offset(Index f) const { return offset_[static_cast<std::size_t>(f)]; }
  Index factor_of(Index column) const {
    Index f = factors() - 1;
    while (offset(f) > column) --f;
    return f;
  }

  void first_factor(Index j) {
    const Index k = factor(0).k;
    const ConstMatrixRef X = with_X(0, j);
    diagonal(0, data_.A.middleCols(j * k, k), X);
    if (factors() == 1) return;
    const auto level = static_cast<std::size_t>(j);
    for (Index at = data_.start[level]; at < data_.start[level + 1];) {
      const Index column = data_.column[static_cast<std::size_t>(at)];
      const Index g = factor_of(column), kg = factor(g).k;
      block(0, g, data_.cross.middleCols(at, kg), X,
            with_X(g, (column - offset(g)) / kg));
      at += kg;
    }
  }

  // Columns of one level have the same rows below the block on their diagonal.
  void rest_level(Index f, Index j) {
    const Index k = factor(f).k, begin = offset(f) + j * k;
    Matrix own = Matrix::Zero(k, k);
    std::vector<Index> rows;
    std::vector<double> values;
    for (Index a = 0; a < k; ++a) {
      for (SparseMatrix::InnerIterator it(data_.rest, begin + a); it; ++it) {
        if (it.row() < begin + k) {
          own(it.row() - begin, a) = own(a, it.row() - begin) = it.value();
        } else {
          if (a == 0) rows.push_back(it.row());
          values.push_back(it.value());
        }
      }
    }
    const ConstMatrixRef X = with_X(f, j);
    diagonal(f, own, X);
    const auto height = static_cast<Index>(rows.size());
    const Eigen::Map<const Matrix> below(values.data(), height, k);
    for (Index at = 0; at < height;) {
      const Index row = rows[static_cast<std::size_t>(at)];
      const Index g = factor_of(row), kg = factor(g).k;
      block(f, g, below.middleRows(at, kg).transpose(), X,
            with_X(g, (row - offset(g)) / kg));
      at += kg;
    }
  }

  void diagonal(Index f, const ConstMatrixRef& N, const ConstMatrixRef& X) {
    block(f, f, N, X, X);
    for (const Own& c : own_[static_cast<std::size_t>(f)]) {
      const Matrix half = X.row(c.row).transpose() * X.row(c.col);
      R_[static_cast<std::size_t>(c.at)] += 0.5 * c.times * (half + half.transpose());
      M_(count_, c.at) += c.times * N(c.row, c.col);
      sizes_(c.at) +=
          0.5 * c.times * c.times *
          (N(c.row, c.row) * N(c.col, c.col) + N(c.row, c.col) * N(c.col, c.row));
    }
  }

  // N = Z_u'Z_v of two levels, and their products with X.
  void block(Index f, Index g, const ConstMatrixRef& N, const ConstMatrixRef& X_u,
             const ConstMatrixRef& X_v) {
    D_.noalias() = X_u.lazyProduct(X_v.transpose());
    for (const Own& c : own_[static_cast<std::size_t>(f)]) {
      for (const Own& d : own_[static_cast<std::size_t>(g)]) {
        if (f == g && d.at > c.at) continue;
        const Index i = c.row, j = c.col, k = d.row, l = d.col;
        const double twice = N(i, l) * (N(j, k) - D_(j, k)) +
                             N(i, k) * (N(j, l) - D_(j, l)) - N(j, k) * D_(i, l) -
                             N(j, l) * D_(i, k);
        M_(std::max(c.at, d.at), std::min(c.at, d.at)) += 0.5 * c.times * d.times * twice;
      }
    }
  }

  const BlockedData& data_;
  std::vector<std::vector<Own>> own_;
  Index count_;
  Matrix M_;
  Vector sizes_;
  std::vector<Matrix> R_;  // c: X'G_c X
  Matrix D_;
  std::vector<Index> offset_;
};

}  // namespace

ComponentProducts component_products(const BlockedData& data) {
  Products products(data);
  products.run();
  return products.result();
}

bool doubtful(const ComponentProducts& at) {
  const Vector left = at.products.diagonal();
  for (Index c = 0; c < at.sizes.size(); ++c) {
    if (!(left(c) > 1e-6 * at.sizes(c))) return true;
  }
  const Vector unit = left.array().rsqrt();
  const Eigen::LLT<Matrix> root(unit.asDiagonal() * at.products * unit.asDiagonal());
  if (root.info() != Eigen::Success) return true;
  const Matrix L = root.matrixL();
  return !(L.diagonal().minCoeff() > 1e-3);
}

}  // namespace kinlmm
