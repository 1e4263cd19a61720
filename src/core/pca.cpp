#include "core/pca.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "core/lapack.h"
#include "core/parallel.h"
#include "core/random.h"
#include "core/thin.h"

namespace kinlmm {

namespace {

// The markers of a source that are used, by blocks, as columns of Z. What becomes of a
// marker is decided when it is first read.
class Columns {
 public:
  Columns(GenotypeSource& source, const PcaOptions& options)
      : source_(source),
        options_(options),
        mean_(static_cast<std::size_t>(source.markers())),
        scale_(mean_.size(), std::numeric_limits<double>::quiet_NaN()) {}

  Index samples() const { return source_.samples(); }
  Index markers() const { return source_.markers(); }

  // The same until the next call.
  const ThinBlock& read(Index first, Index count) {
    std::vector<Index> markers(static_cast<std::size_t>(count));
    for (Index j = 0; j < count; ++j) markers[j] = first + j;
    const Index n = samples();
    std::uint8_t* counts = room(first, count);
    bool whole = first + count <= kept_;
    if (!whole) {
      whole = source_.read_counts(first, count, counts);
      if (whole && !all_.empty() && first == kept_) kept_ += count;
    }
    if (!whole) {
      values_.resize(n, count);
      source_.read(first, count, values_);
    }
    return standardise(markers, whole ? counts : nullptr);
  }

  // Single markers instead of a run.
  const ThinBlock& read(const std::vector<Index>& markers) {
    const Index n = samples(), count = static_cast<Index>(markers.size());
    counts_.resize(static_cast<std::size_t>(n * count));
    bool whole = true;
    for (Index j = 0; j < count && whole; ++j)
      whole = source_.read_counts(markers[j], 1, counts_.data() + j * n);
    if (!whole) {
      values_.resize(n, count);
      for (Index j = 0; j < count; ++j) source_.read(markers[j], 1, values_.col(j));
    }
    return standardise(markers, whole ? counts_.data() : nullptr);
  }

  // What is known once all markers have been read.
  void describe(Pca& out) const {
    for (std::size_t s = 0; s < scale_.size(); ++s) {
      if (!(scale_[s] > 0)) continue;
      out.used.push_back(static_cast<Index>(s));
      out.mean.push_back(mean_[s]);
      out.scale.push_back(scale_[s]);
    }
    out.fates = fates_;
    out.trace = squares_ / static_cast<double>(fates_[0]);
  }
  Index used() const { return fates_[0]; }

 private:
  // Where counts are read to.
  std::uint8_t* room(Index first, Index count) {
    const Index n = samples();
    if (all_.empty() && n * markers() <= options_.keep)
      all_.resize(static_cast<std::size_t>(n * markers()));
    if (!all_.empty()) return all_.data() + n * first;
    counts_.resize(static_cast<std::size_t>(n * count));
    return counts_.data();
  }

  // counts: of these markers, or null where they are in values_.
  const ThinBlock& standardise(const std::vector<Index>& markers,
                               const std::uint8_t* counts) {
    const Index n = samples(), count = static_cast<Index>(markers.size());
    decide(markers, counts);
    block_ = ThinBlock();
    block_.n = n;
    for (Index j = 0; j < count; ++j) {
      const double mean = mean_[markers[j]], scale = scale_[markers[j]];
      if (scale == 0) continue;
      if (counts) {
        block_.counts.push_back(counts + j * n);
        block_.values.push_back(
            {-mean * scale, (1 - mean) * scale, (2 - mean) * scale, 0});
      } else {
        block_.columns.push_back(values_.col(j).data());
      }
    }
    if (counts) return block_;
    parallel_for(count, options_.threads, [&](Index j) {
      const double mean = mean_[markers[j]], scale = scale_[markers[j]];
      for (Index i = 0; i < n; ++i) {
        double& x = values_(i, j);
        x = std::isnan(x) ? 0 : (x - mean) * scale;
      }
    });
    return block_;
  }

  void decide(const std::vector<Index>& markers, const std::uint8_t* counts) {
    const Index n = samples(), count = static_cast<Index>(markers.size());
    const auto known = [&](Index s) { return !std::isnan(scale_[s]); };
    if (std::all_of(markers.begin(), markers.end(), known)) return;
    const auto summaries = counts ? summarise_counts(counts, n, count, options_.threads)
                                  : summarise_and_impute(values_, options_.threads);
    for (Index j = 0; j < count; ++j) {
      const Index s = markers[j];
      if (known(s)) continue;
      const MarkerFate outcome = fate(summaries[j], n, options_.filter);
      ++fates_[static_cast<std::size_t>(outcome)];
      mean_[s] = summaries[j].mean;
      scale_[s] = outcome == MarkerFate::used ? scale(summaries[j]) : 0;
      squares_ += scale_[s] * scale_[s] * summaries[j].variance * static_cast<double>(n);
    }
  }

  double scale(const MarkerSummary& s) const {
    switch (options_.unit) {
      case MarkerUnit::deviation:
        return 1 / std::sqrt(s.variance);
      case MarkerUnit::frequency:
        return 1 / std::sqrt(s.mean * (1 - s.mean / 2));
      default:
        return 1;
    }
  }

  GenotypeSource& source_;
  const PcaOptions& options_;
  std::vector<double> mean_, scale_;  // all markers; scale 0: not used, NaN: not read yet
  std::array<Index, 5> fates_{};
  double squares_ = 0;  // of all elements of Z
  std::vector<std::uint8_t> counts_, all_;
  Index kept_ = 0;  // markers whose counts are in all_
  Matrix values_;
  ThinBlock block_;
};

// Z Z'X, in `Value`; on return T, if given, holds Z'X (m x c).
template <class Value>
Matrix multiply(Columns& Z, const Matrix& X, const PcaOptions& options, Monitor& monitor,
                Matrix* T = nullptr) {
  const ThinRows<Value> x(X);
  ThinRows<double> y(Z.samples(), X.cols());
  Index row = 0;
  for (Index first = 0; first < Z.markers(); first += options.block) {
    const Index count = std::min(options.block, Z.markers() - first);
    const ThinBlock& block = Z.read(first, count);
    ThinRows<double> t(block.size(), X.cols());
    add_thin_products<Value>(block, x, options.with, options.threads, t, y);
    if (T) T->middleRows(row, block.size()) = t.matrix();
    row += block.size();
    monitor.tick(first + count, Z.markers());
  }
  return y.matrix();
}

Matrix product(const ConstMatrixRef& A, bool transpose, const ConstMatrixRef& B) {
  Matrix C(transpose ? A.cols() : A.rows(), B.cols());
  lapack::gemm(transpose, false, 1, A, B, 0, C);
  return C;
}

// An orthonormal basis of what the columns of X have beyond the orthonormal Q.
Matrix basis_beyond(const Matrix& Q, Matrix X) {
  for (Index c = 0; c < X.cols(); ++c) X.col(c) /= std::max(X.col(c).norm(), 1e-300);
  if (Q.cols() > 0) X -= product(Q, false, product(Q, true, X));
  Eigen::ColPivHouseholderQR<Matrix> qr(X);
  qr.setThreshold(1e-10);
  const Index room = Q.rows() - Q.cols();
  // columns that were in Q but for rounding are no directions of their own
  const auto R = qr.matrixQR().diagonal().cwiseAbs();
  Index rank = 0;
  while (rank < std::min(R.size(), room) && R[rank] > 1e-10) ++rank;
  Matrix out = qr.householderQ() * Matrix::Identity(X.rows(), rank);
  if (Q.cols() > 0 && rank > 0) {
    out -= product(Q, false, product(Q, true, out));
    for (Index c = 0; c < rank; ++c) out.col(c).normalize();
  }
  return out;
}

Matrix beside(const Matrix& A, const Matrix& B) {
  Matrix out(B.rows(), A.cols() + B.cols());
  out << A, B;
  return out;
}

// A start that knows the larger components: power iterations on some of the markers.
Matrix start(Columns& Z, Index width, const PcaOptions& options, Monitor& monitor) {
  constexpr Index kEvery = 16, kMost = 8192, kIterations = 4;
  constexpr Index kBytes = Index(1) << 26;
  Random random(1);
  Matrix X = Matrix::NullaryExpr(Z.samples(), width,
                                 [&](Index, Index) { return random.normal(); });
  const Index n = Z.samples(), m = Z.markers();
  const Index most = std::min({m / kEvery, kMost, kBytes / n});
  X = basis_beyond(Matrix(n, 0), X);
  if (most < 4 * width) return X;
  std::vector<Index> some(static_cast<std::size_t>(most));
  for (Index j = 0; j < most; ++j) some[j] = m / most * j;
  const ThinBlock& block = Z.read(some);
  for (Index i = 0; i < kIterations; ++i) {
    ThinRows<double> t(block.size(), X.cols()), y(n, X.cols());
    add_thin_products<float>(block, ThinRows<float>(X), options.with, options.threads, t,
                             y);
    const Matrix next = basis_beyond(Matrix(n, 0), y.matrix());
    if (next.cols() < X.cols()) break;
    X = next;
    monitor.tick(0, m);
  }
  return X;
}

struct Ritz {
  Vector values;   // decreasing
  Matrix vectors;  // coordinates in the basis
};

Ritz ritz(const Matrix& Q, const Matrix& KQ) {
  const Matrix H = product(Q, true, KQ);
  const Eigen::SelfAdjointEigenSolver<Matrix> eigen((H + H.transpose()) / 2);
  return {eigen.eigenvalues().reverse(), eigen.eigenvectors().rowwise().reverse()};
}

// Leading eigenvectors by a block Krylov method: the basis is extended by the residuals
// of the leading Ritz vectors, and cut to the leading ones before it takes too much
// memory.
Matrix iterate(Columns& Z, const PcaOptions& options, Monitor& monitor, Index& passes) {
  const Index k = options.components, n = Z.samples();
  // some more, since the last ones converge as fast as the next eigenvalue is far
  const Index width = std::min(n, (k + 6 + 15) / 16 * 16);
  const Index most = 8 * width;
  Matrix Q(n, 0), KQ(n, 0);
  Matrix next = start(Z, width, options, monitor);
  for (;;) {
    const Matrix Knext = multiply<float>(Z, next, options, monitor);
    if (Z.used() == 0) return Q;
    Q = beside(Q, next);
    KQ = beside(KQ, Knext / static_cast<double>(Z.used()));
    ++passes;
    const Ritz at = ritz(Q, KQ);
    const Index lead = std::min(width, Q.cols());
    const Matrix V = at.vectors.leftCols(lead), X = product(Q, false, V);
    Matrix R = product(KQ, false, V) - X * at.values.head(lead).asDiagonal();
    const double noise = 1e-6 * at.values[0];
    bool done = lead >= k;
    for (Index c = 0; c < std::min(k, lead); ++c)
      done = done && R.col(c).norm() <= std::max(options.tolerance * at.values[c], noise);
    if (done || passes >= options.passes || lead < k)
      return X.leftCols(std::min(k, lead));
    if (Q.cols() + width > most) {
      const Matrix W = at.vectors.leftCols(std::min(3 * width, Q.cols()));
      Q = product(Q, false, W);
      KQ = product(KQ, false, W);
    }
    next = basis_beyond(Q, R);
    if (next.cols() == 0) return X.leftCols(k);
  }
}

void add_block(const ThinBlock& block, const PcaOptions& options, MatrixRef K) {
  const Index n = block.n, m = block.size();
  if (m == 0) return;
  Matrix G(n, m);
  parallel_for(m, options.threads, [&](Index s) {
    for (Index i = 0; i < n; ++i) {
      G(i, s) = block.counts.empty() ? block.columns[s][i]
                                     : block.values[s][block.counts[s][i]];
    }
  });
  lapack::syrk(1, G, 1, K);
}

// Leading eigenvectors of K itself.
Matrix spectrum(Columns& Z, const PcaOptions& options, Monitor& monitor) {
  const Index n = Z.samples(), k = std::min(options.components, n);
  Matrix K = Matrix::Zero(n, n);
  for (Index first = 0; first < Z.markers(); first += options.block) {
    const Index count = std::min(options.block, Z.markers() - first);
    add_block(Z.read(first, count), options, K);
    monitor.tick(first + count, Z.markers());
  }
  if (Z.used() == 0) return Matrix(n, 0);
  Vector d, e, reflectors;
  lapack::tridiagonalise(K, d, e, reflectors);
  Matrix U(n, n);
  lapack::eigen_tridiagonal(d, e, U);
  Matrix X = U.rightCols(k).rowwise().reverse();
  lapack::reflect(false, K, reflectors, X);
  return X;
}

void fix_signs(Pca& out) {
  for (Index c = 0; c < out.scores.cols(); ++c) {
    Index at;
    out.scores.col(c).cwiseAbs().maxCoeff(&at);
    if (out.scores(at, c) > 0) continue;
    out.scores.col(c) *= -1;
    out.loadings.col(c) *= -1;
  }
}

// Values, loadings and scores from an orthonormal X that spans the components, with one
// more pass in double.
void finish(Columns& Z, const Matrix& X, const PcaOptions& options, Monitor& monitor,
            Pca& out) {
  const double m = static_cast<double>(Z.used());
  Matrix T(Z.used(), X.cols());
  const Matrix W = multiply<double>(Z, X, options, monitor, &T) / m;
  ++out.passes;
  const Ritz at = ritz(X, W);
  out.values = at.values;
  const Index rank = (at.values.array() > 1e-10 * out.trace).count();
  if (rank < options.components) {
    throw Error("pca_rank",
                {{"rank", double(rank)}, {"components", double(options.components)}});
  }
  const Matrix KX = product(W, false, at.vectors), U = product(X, false, at.vectors);
  out.residuals = (KX - U * at.values.asDiagonal()).colwise().norm();
  out.residuals.array() /= at.values.array();
  const Vector root = at.values.cwiseSqrt();
  out.scores = KX * root.cwiseInverse().asDiagonal();
  out.loadings =
      product(T, false, at.vectors) * (root * std::sqrt(m)).cwiseInverse().asDiagonal();
  fix_signs(out);
}

}  // namespace

Pca pca(GenotypeSource& source, const PcaOptions& options, Monitor& monitor) {
  Pca out;
  Columns Z(source, options);
  const Matrix X = options.exact ? spectrum(Z, options, monitor)
                                 : iterate(Z, options, monitor, out.passes);
  Z.describe(out);
  if (options.exact) ++out.passes;
  if (out.used.empty()) return out;
  finish(Z, X, options, monitor, out);
  return out;
}

Matrix project(GenotypeSource& source, const std::vector<double>& mean,
               const std::vector<double>& scale, const ConstMatrixRef& loadings,
               Monitor& monitor) {
  constexpr Index kBlock = 256;
  const Index n = source.samples(), m = source.markers();
  Matrix scores = Matrix::Zero(n, loadings.cols()), G(n, std::min(kBlock, m));
  for (Index first = 0; first < m; first += kBlock) {
    const Index count = std::min(kBlock, m - first);
    source.read(first, count, G.leftCols(count));
    for (Index j = 0; j < count; ++j) {
      const double centre = mean[first + j], by = scale[first + j];
      G.col(j) = G.col(j).unaryExpr(
          [=](double x) { return std::isnan(x) ? 0 : (x - centre) * by; });
    }
    lapack::gemm(false, false, 1, G.leftCols(count), loadings.middleRows(first, count), 1,
                 scores);
    monitor.tick(first + count, m);
  }
  return scores;
}

}  // namespace kinlmm
