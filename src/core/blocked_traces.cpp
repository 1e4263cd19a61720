// tr(H^-1 G_c H^-1 G_d) of core/blocked.h.
#include <algorithm>
#include <vector>

#include "core/blocked.h"
#include "core/lapack.h"

namespace kinlmm {

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

// D E.
template <class From>
Matrix directed(const From& E, Index row, Index col) {
  Matrix out = Matrix::Zero(E.rows(), E.cols());
  out.row(row) = E.row(col);
  if (row != col) out.row(col) = E.row(row);
  return out;
}

}  // namespace

// A symmetric r x r matrix in the form that multiplies fastest.
class RestSum {
 public:
  RestSum(Index r, bool dense) : dense_(dense), r_(r) {
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
    std::vector<Eigen::Triplet<double>>().swap(entries_);  // frees them
  }
  Matrix times(const Matrix& B) const {
    if (!dense_) return sparse_ * B;
    Matrix out(r_, B.cols());
    lapack::gemm(false, false, 1.0, full_, B, 0.0, out);
    return out;
  }
  Matrix columns(Index from, Index width) const {
    return dense_ ? Matrix(full_.middleCols(from, width))
                  : Matrix(sparse_.middleCols(from, width));
  }

 private:
  bool dense_;
  Index r_;
  Matrix full_;
  SparseMatrix sparse_;
  std::vector<Eigen::Triplet<double>> entries_;
};

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

// With U_j = Z_j'H_1^-1 Z_rest, N_c = sum_j U_j'D_c U_j and Y = I - M N, and (.)_ll the
// diagonal blocks of the rest, what is left is
//   both in the first factor   tr(M N_c M N_d)
//   one of them, d in the rest tr(D_d (Y'N_c Y)_ll)
//   both in the rest           the sum over pairs of blocks of tr(G D_c G D_d), G = N Y.
// All of it a panel of columns of the rest at a time: levels of one factor g.
struct Blocked::Panel {
  std::size_t g;
  Index width;
  Matrix Y, G;                     // r x width
  std::vector<Matrix> MN, NM, NY;  // M N_c, N_c M and N_c Y
};

// N_c of the components of the first factor; they come in their own order.
std::vector<RestSum> Blocked::rest_sums() const {
  const Index k = data_.factors[0].k;
  std::vector<RestSum> out;
  out.reserve(components_.size());
  Matrix U;
  for (const Component& component : components_) {
    if (component.factor != 0) continue;
    out.emplace_back(data_.rest_size(), rest_->dense());
    for (Index j = 0; j < data_.classes(); ++j) {
      const auto at = static_cast<std::size_t>(j);
      const Index from = data_.start[at], size = data_.start[at + 1] - from;
      U = V_.middleCols(j * k, k) * data_.cross.middleCols(from, size);
      const Matrix UDU = U.transpose() * directed(U, component.row, component.col);
      for (Index b = 0; b < size; ++b) {
        for (Index a = 0; a < size; ++a) {
          out.back().add(data_.column[static_cast<std::size_t>(from + a)],
                         data_.column[static_cast<std::size_t>(from + b)], UDU(a, b));
        }
      }
    }
    out.back().finish();
  }
  return out;
}

Blocked::Panel Blocked::make_panel(std::size_t g, Index level, Index levels,
                                   const std::vector<RestSum>& sums) const {
  Panel out;
  out.g = g;
  out.width = levels * data_.factors[g].k;
  const Index from = offset_[g] + level * data_.factors[g].k;
  Matrix unit = Matrix::Zero(data_.rest_size(), out.width);
  unit.middleRows(from, out.width).setIdentity();
  const Matrix M = rest_->multiply_M(unit);
  out.Y = unit - rest_->multiply_M(rest_->multiply_N(unit));
  out.G = rest_->multiply_N(out.Y);
  for (const RestSum& N : sums) {
    out.MN.push_back(rest_->multiply_M(N.columns(from, out.width)));
    out.NM.push_back(N.times(M));
    out.NY.push_back(N.times(out.Y));
  }
  return out;
}

// The part of a panel of component c of the first factor (the c-th) and d of the panel's.
double Blocked::mixed_trace(const Panel& panel, std::size_t c, const Component& d) const {
  double out = 0;
  for (Index at = 0; at < panel.width; at += data_.factors[panel.g].k) {
    out += panel.Y.col(at + d.row).dot(panel.NY[c].col(at + d.col));
    if (d.row != d.col) out += panel.Y.col(at + d.col).dot(panel.NY[c].col(at + d.row));
  }
  return out;
}

// The part of a panel of component c of any factor of the rest and d of the panel's.
double Blocked::rest_trace(const Panel& panel, const Component& c,
                           const Component& d) const {
  const Index kf = data_.factors[c.factor].k, kg = data_.factors[panel.g].k;
  double out = 0;
  for (Index m = 0; m < data_.factors[c.factor].q; ++m) {
    const auto G = panel.G.middleRows(offset_[c.factor] + m * kf, kf);
    for (Index at = 0; at < panel.width; at += kg) {
      out += G(c.row, at + d.row) * G(c.col, at + d.col);
      if (c.row != c.col) out += G(c.col, at + d.row) * G(c.row, at + d.col);
      if (d.row != d.col) out += G(c.row, at + d.col) * G(c.col, at + d.row);
      if (c.row != c.col && d.row != d.col)
        out += G(c.col, at + d.col) * G(c.row, at + d.row);
    }
  }
  return out;
}

void Blocked::add_rest_traces(Moments& out) const {
  const std::vector<RestSum> sums = rest_sums();
  // the lower triangle of the traces
  const auto add = [&](std::size_t c, std::size_t d, double value) {
    out.traces(static_cast<Index>(std::max(c, d)), static_cast<Index>(std::min(c, d))) +=
        value;
  };
  const auto of_panel = [&](const Panel& panel) {
    for (std::size_t c = 0, of_first = 0; c < components_.size(); ++c) {
      const bool first = components_[c].factor == 0;
      for (std::size_t d = 0, other = 0; d < components_.size(); ++d) {
        if (first && components_[d].factor == 0) {
          if (d <= c) add(c, d, panel.MN[of_first].cwiseProduct(panel.NM[other]).sum());
          ++other;
        } else if (components_[d].factor == panel.g) {
          const bool before = components_[c].factor < panel.g || c <= d;
          if (first) {
            add(c, d, mixed_trace(panel, of_first, components_[d]));
          } else if (components_[c].factor <= panel.g && before) {
            add(c, d, rest_trace(panel, components_[c], components_[d]));
          }
        }
      }
      if (first) ++of_first;
    }
  };
  for (std::size_t g = 1; g < data_.factors.size(); ++g) {
    const Index q = data_.factors[g].q;
    const Index most = std::max<Index>(1, rest_->panel() / data_.factors[g].k);
    for (Index l = 0; l < q; l += most) {
      of_panel(make_panel(g, l, std::min(most, q - l), sums));
    }
  }
}

}  // namespace kinlmm
