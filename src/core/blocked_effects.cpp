// Random effects and variances of predictions of core/blocked.h.
#include <algorithm>
#include <numeric>

#include "core/blocked.h"
#include "core/criterion.h"
#include "core/error.h"

namespace kinlmm {

const Moments& Blocked::defined_moments(const Vector& theta) {
  const Moments& out = moments(theta, Order::gradient);
  if (out.W.empty()) throw Error("not_positive_definite");
  return out;
}

std::vector<Blocked::Effects> Blocked::effects(const Vector& theta, bool variances) {
  const ProfiledFixed fixed = profiled_fixed(defined_moments(theta).S);
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
  const ProfiledFixed fixed = profiled_fixed(defined_moments(theta).S);
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
