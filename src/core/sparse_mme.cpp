#include "core/sparse_mme.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/criterion.h"

namespace kinlmm {

namespace {

// An effect of no variance has a derivative: this theta changes nothing else, and stays
// away from underflow when it is squared.
constexpr double nothing = 1e-75;

// Effects for which the q x q products of the second derivatives are formed.
constexpr Index most_exact = 1500;

std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

// Places of the elements of a part among those of the whole.
std::vector<std::size_t> places(const SparseMatrix& part, const SparseMatrix& whole) {
  std::vector<std::size_t> out;
  out.reserve(at(part.nonZeros()));
  const int* rows = whole.innerIndexPtr();
  for (Index j = 0; j < part.cols(); ++j) {
    const int* from = rows + whole.outerIndexPtr()[j];
    const int* to = rows + whole.outerIndexPtr()[j + 1];
    for (SparseMatrix::InnerIterator it(part, j); it; ++it) {
      from = std::lower_bound(from, to, static_cast<int>(it.row()));
      out.push_back(static_cast<std::size_t>(from - rows));
    }
  }
  return out;
}

SparseMatrix pattern_of(const SparseMatrix& A) {
  SparseMatrix out = A;
  std::fill_n(out.valuePtr(), out.nonZeros(), 1.0);
  return out;
}

}  // namespace

void add_records(const std::vector<SparseTerm>& terms, const ConstMatrixRef& Xy,
                 SparseData& data) {
  const Index q = data.first.back();
  std::vector<Eigen::Triplet<double>> entries;
  entries.reserve(at(Xy.rows()) * terms.size() * (terms.size() + 1) / 2);
  data.B = Matrix::Zero(q, Xy.cols());
  for (const SparseTerm& term : terms) {
    for (Index c = 0; c < Xy.cols(); ++c) {
      double* sum = &data.B(0, c);
      for (Index i = 0; i < Xy.rows(); ++i)
        sum[term.effect[at(i)]] += term.z(i) * Xy(i, c);
    }
  }
  for (std::size_t s = 0; s < terms.size(); ++s) {
    for (std::size_t t = 0; t <= s; ++t) {
      for (Index i = 0; i < Xy.rows(); ++i)
        entries.emplace_back(terms[s].effect[at(i)], terms[t].effect[at(i)],
                             terms[s].z(i) * terms[t].z(i));
    }
  }
  data.N = SparseMatrix(q, q);
  data.N.setFromTriplets(entries.begin(), entries.end());
}

SparseEquations::SparseEquations(const SparseData& data) : data_(data) {
  C_ = pattern_of(data.Q) + pattern_of(data.N);
  C_.makeCompressed();
  Q_place_ = places(data.Q, C_);
  N_place_ = places(data.N, C_);
  cholesky_ = std::make_unique<SparseCholesky>(C_, data.position);
}

Covariance SparseEquations::covariance() const {
  return Covariance(std::vector<int>(at(data_.terms()), 1));
}

Index SparseEquations::term_of(Index effect) const {
  const auto found = std::upper_bound(data_.first.begin(), data_.first.end(), effect);
  return found - data_.first.begin() - 1;
}

// The factor of C, and the moments without derivatives. False if there is none.
bool SparseEquations::update(const Vector& theta) {
  if (theta_.size() == theta.size() && theta_ == theta) return defined_;
  theta_ = theta;
  inverted_ = false;
  D_.resize(C_.cols());
  for (Index t = 0; t < data_.terms(); ++t) {
    const double own = std::abs(theta(t)) < nothing ? nothing : theta(t);
    D_.segment(data_.first[at(t)], data_.first[at(t + 1)] - data_.first[at(t)])
        .setConstant(own);
  }
  double* values = C_.valuePtr();
  std::fill_n(values, C_.nonZeros(), 0.0);
  for (std::size_t e = 0; e < Q_place_.size(); ++e)
    values[Q_place_[e]] = data_.Q.valuePtr()[e];
  std::size_t e = 0;
  for (Index j = 0; j < data_.N.cols(); ++j) {
    for (SparseMatrix::InnerIterator it(data_.N, j); it; ++it)
      values[N_place_[e++]] += D_(it.row()) * D_(j) * it.value();
  }
  defined_ = D_.allFinite() && cholesky_->factor(values);
  full_ = Moments();
  if (!defined_) {
    full_.logdet = std::numeric_limits<double>::infinity();
    full_.S = Matrix::Zero(data_.S.rows(), data_.S.cols());
    full_.trace = Vector::Zero(data_.terms());
    return false;
  }
  full_.logdet = cholesky_->logdet() - data_.logdet_Q;
  const Matrix half = cholesky_->half(D_.asDiagonal() * data_.B);
  full_.S = data_.S - half.transpose() * half;
  E_ = cholesky_->back(half);
  return true;
}

void SparseEquations::invert() {
  if (!inverted_) cholesky_->invert();
  inverted_ = true;
}

const Moments& SparseEquations::moments(const Vector& theta, Order order) {
  if (update(theta) && order != Order::value) {
    if (full_.W.empty()) add_gradient();
    if (order == Order::average && full_.average.size() == 0) add_average();
    if (order == Order::exact && full_.WW.empty()) add_second();
  }
  moments_ = full_;
  if (data_.contrasts) contrast(moments_);
  return moments_;
}

// Without the last column, and with the derivatives of log 1'H^-1 1.
void SparseEquations::contrast(Moments& out) const {
  const Index width = data_.width(), count = data_.terms();
  const double one = out.S(width, width);
  const auto inner = [&](Matrix& whole) {
    whole = whole.topLeftCorner(width, width).eval();
  };
  if (defined_) out.logdet += std::log(one);
  inner(out.S);
  Vector slope(count);
  for (std::size_t c = 0; c < out.W.size(); ++c) {
    slope(static_cast<Index>(c)) = out.W[c](width, width) / one;
    inner(out.W[c]);
  }
  if (!out.W.empty()) out.trace -= slope;
  if (out.WW.empty()) return;
  for (Index c = 0; c < count; ++c) {
    for (Index d = 0; d < count; ++d) {
      Matrix& WW = out.WW[at(c * count + d)];
      out.traces(c, d) -= 2 * WW(width, width) / one - slope(c) * slope(d);
      inner(WW);
    }
  }
}

// tr(H^-1 G_t), of which theta_t is sum_s theta_s <C^-1_ts, N_ts>.
Vector SparseEquations::traces() const {
  Vector sum = Vector::Zero(data_.terms());
  std::size_t e = 0;
  for (Index j = 0; j < data_.N.cols(); ++j) {
    const Index t = term_of(j);
    Index s = t;
    for (SparseMatrix::InnerIterator it(data_.N, j); it; ++it) {
      while (it.row() >= data_.first[at(s + 1)]) ++s;
      const double product = it.value() * cholesky_->inverse(N_place_[e++]);
      if (s != t) {
        sum(t) += D_(it.row()) / D_(j) * product;
        sum(s) += D_(j) / D_(it.row()) * product;
      } else {
        sum(t) += it.row() == j ? product : 2 * product;
      }
    }
  }
  return sum;
}

// F_t = K_t Z_t'H^-1[X y] = E_t / theta_t, and W_t = F_t'Q_t F_t.
void SparseEquations::add_gradient() {
  Moments& out = full_;
  invert();
  out.trace = traces();
  const Matrix F = D_.cwiseInverse().asDiagonal() * E_;
  const Matrix QF = data_.Q.selfadjointView<Eigen::Lower>() * F;
  for (Index t = 0; t < data_.terms(); ++t) {
    const Index first = data_.first[at(t)], size = data_.first[at(t + 1)] - first;
    out.W.push_back(F.middleRows(first, size).transpose() * QF.middleRows(first, size));
  }
}

// (Z_c F_c)'H^-1 Z_d F_d, F_c with the effects of term c in its rows; at c * count + d.
std::vector<Matrix> SparseEquations::between(const std::vector<Matrix>& F) {
  const Index count = data_.terms(), q = C_.cols();
  std::vector<Matrix> NF, half, out;
  for (Index d = 0; d < count; ++d) {
    const Matrix& own = F[at(d)];
    Matrix padded = Matrix::Zero(q, own.cols());
    padded.middleRows(data_.first[at(d)], own.rows()) = own;
    NF.push_back(data_.N.selfadjointView<Eigen::Lower>() * padded);
    half.push_back(cholesky_->half(D_.asDiagonal() * NF.back()));
  }
  for (Index c = 0; c < count; ++c) {
    for (Index d = 0; d < count; ++d) {
      const Matrix& own = F[at(c)];
      out.push_back(own.transpose() *
                        NF[at(d)].middleRows(data_.first[at(c)], own.rows()) -
                    half[at(c)].transpose() * half[at(d)]);
    }
  }
  return out;
}

void SparseEquations::add_average() {
  Moments& out = full_;
  const Index count = data_.terms(), p = data_.width() - 1;
  const ProfiledFixed fixed = profiled_fixed(out.S.topLeftCorner(p + 1, p + 1));
  out.average = Matrix::Zero(count, count);
  if (!(fixed.s > 0)) return;
  Vector a(p + 1);  // y - X beta = [X y] a
  if (p > 0) a.head(p) = -fixed.beta;
  a(p) = 1;
  std::vector<Matrix> F;
  Matrix through(p, count);
  for (Index t = 0; t < count; ++t) {
    const Index first = data_.first[at(t)], size = data_.first[at(t + 1)] - first;
    F.push_back(E_.block(first, 0, size, p + 1) * a / D_(first));
    through.col(t) = out.W[at(t)].topLeftCorner(p, p + 1) * a;
  }
  const std::vector<Matrix> products = between(F);
  for (Index c = 0; c < count; ++c) {
    for (Index d = 0; d < count; ++d)
      out.average(c, d) = products[at(c * count + d)](0, 0);
  }
  if (p > 0) out.average -= through.transpose() * fixed.unscaled * through;
}

void SparseEquations::add_second() {
  std::vector<Matrix> F;
  for (Index t = 0; t < data_.terms(); ++t) {
    const Index first = data_.first[at(t)], size = data_.first[at(t + 1)] - first;
    F.push_back(E_.middleRows(first, size) / D_(first));
  }
  const std::vector<Matrix> WW = between(F);
  if (C_.cols() <= most_exact) {
    full_.traces = exact_traces();
    full_.WW = WW;
    return;
  }
  Moments kept = full_;
  const Vector theta = theta_;
  kept.WW = WW;
  kept.traces = traces_by_difference(theta);
  update(theta);
  full_ = std::move(kept);
}

// By R_cd = K_c Z_c'H^-1 Z_d = [C^-1 D N]_cd / theta_c.
Matrix SparseEquations::exact_traces() {
  const Index count = data_.terms();
  const SparseMatrix whole = data_.N.selfadjointView<Eigen::Lower>();
  const Matrix N = whole;
  const Matrix R = D_.cwiseInverse().asDiagonal() * cholesky_->solve(D_.asDiagonal() * N);
  Matrix out(count, count);
  for (Index c = 0; c < count; ++c) {
    const Index row = data_.first[at(c)], rows = data_.first[at(c + 1)] - row;
    for (Index d = 0; d <= c; ++d) {
      const Index col = data_.first[at(d)], cols = data_.first[at(d + 1)] - col;
      out(c, d) = R.block(row, col, rows, cols)
                      .cwiseProduct(R.block(col, row, cols, rows).transpose())
                      .sum();
      out(d, c) = out(c, d);
    }
  }
  return out;
}

Vector SparseEquations::traces_at(const Vector& theta) {
  if (!update(theta))
    return Vector::Constant(data_.terms(), std::numeric_limits<double>::quiet_NaN());
  invert();
  return traces();
}

// -d tr(H^-1 G_c) / dpsi_d, of which an error of about 1e-9 remains: five points, to one
// side where psi_d is small.
Matrix SparseEquations::traces_by_difference(const Vector& theta) {
  const Index count = data_.terms();
  Matrix out(count, count);
  const auto shifted = [&](Index d, double psi) {
    Vector moved = theta;
    moved(d) = std::sqrt(psi);
    return traces_at(moved);
  };
  for (Index d = 0; d < count; ++d) {
    const double psi = theta(d) * theta(d);
    if (psi > 1e-3) {
      const double h = 0.003 * psi;
      out.col(d) = -(8 * (shifted(d, psi + h) - shifted(d, psi - h)) -
                     (shifted(d, psi + 2 * h) - shifted(d, psi - 2 * h))) /
                   (12 * h);
    } else {
      const double h = 1e-5;
      out.col(d) = (25 * shifted(d, psi) - 48 * shifted(d, psi + h) +
                    36 * shifted(d, psi + 2 * h) - 16 * shifted(d, psi + 3 * h) +
                    3 * shifted(d, psi + 4 * h)) /
                   (12 * h);
    }
  }
  return 0.5 * (out + out.transpose());
}

SparseEquations::Effects SparseEquations::effects(const Vector& theta, bool variances) {
  Effects out;
  if (!update(theta)) return out;
  const Index p = data_.width() - 1;
  const ProfiledFixed fixed = profiled_fixed(full_.S.topLeftCorner(p + 1, p + 1));
  const Matrix modes = D_.asDiagonal() * E_;
  out.mode = modes.col(p);
  if (p > 0) out.mode -= modes.leftCols(p) * fixed.beta;
  if (!variances) return out;
  invert();
  out.conditional.resize(C_.cols());
  for (Index j = 0; j < C_.cols(); ++j) {
    // the diagonal comes first in its column
    const auto place = static_cast<std::size_t>(C_.outerIndexPtr()[j]);
    out.conditional(j) = D_(j) * D_(j) * cholesky_->inverse(place);
  }
  out.prediction = out.conditional;
  if (p > 0) {
    const Matrix through = modes.leftCols(p);
    out.prediction += (through * fixed.unscaled).cwiseProduct(through).rowwise().sum();
  }
  return out;
}

Vector SparseEquations::row_variances(const Vector& theta, const ConstMatrixRef& X,
                                      const Eigen::MatrixXi& effect,
                                      const ConstMatrixRef& Z) {
  Vector out = Vector::Zero(X.rows());
  if (!update(theta)) return Vector::Constant(X.rows(), std::nan(""));
  invert();
  const Index p = X.cols();
  const ProfiledFixed fixed = profiled_fixed(full_.S.topLeftCorner(p + 1, p + 1));
  std::vector<Index> apart;  // rows with effects that are not beside one another in L
  for (Index i = 0; i < X.rows(); ++i) {
    Vector x = X.row(i).transpose();
    bool found = true;
    for (Index s = 0; s < effect.cols(); ++s) {
      const Index a = effect(i, s);
      if (a < 0) continue;
      const double za = Z(i, s) * D_(a);
      x -= za * E_.row(a).head(p).transpose();
      for (Index t = 0; t <= s && found; ++t) {
        const Index b = effect(i, t);
        if (b < 0) continue;
        double element = 0;
        found = cholesky_->inverse_at(a, b, element);
        out(i) += (s == t ? 1 : 2) * za * Z(i, t) * D_(b) * element;
      }
    }
    if (!found) {
      out(i) = 0;
      apart.push_back(i);
    }
    if (p > 0) out(i) += x.dot(fixed.unscaled * x);
  }
  const Index panel = 32;
  for (Index first = 0; first < static_cast<Index>(apart.size()); first += panel) {
    const Index size = std::min(panel, static_cast<Index>(apart.size()) - first);
    Matrix z = Matrix::Zero(C_.cols(), size);
    for (Index k = 0; k < size; ++k) {
      const Index i = apart[at(first + k)];
      for (Index s = 0; s < effect.cols(); ++s) {
        const Index a = effect(i, s);
        if (a >= 0) z(a, k) += Z(i, s) * D_(a);
      }
    }
    const Matrix half = cholesky_->half(z);
    for (Index k = 0; k < size; ++k)
      out(apart[at(first + k)]) += half.col(k).squaredNorm();
  }
  return out;
}

}  // namespace kinlmm
