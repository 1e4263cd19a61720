#include "core/scan.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <functional>
#include <limits>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "core/error.h"
#include "core/lapack.h"
#include "core/parallel.h"
#include "core/scan_plan.h"

namespace kinlmm {

namespace {

// Columns of every matrix product. Blocks are always filled up to them, because the BLAS
// may sum in another order when a matrix has another shape.
constexpr Index kBlock = 256;
constexpr Index kWideBlock = 32;

// Blocks between two changes from the threads of BLAS to ours and back, which cost
// milliseconds each while idle threads still spin; fewer if a matrix of so many columns
// had more than kChunkSize elements. For the same reason only the tests are threaded:
// reading and squaring cost a few hundredths of the products (measured: two threads for
// them were never faster beside a threaded BLAS, and on a busy machine twice as slow).
constexpr Index kChunkBlocks = 8;
constexpr Index kChunkSize = Index{1} << 23;

Index chunk_columns(Index q) {
  return kBlock * std::clamp<Index>(kChunkSize / (kBlock * q), 1, kChunkBlocks);
}

// A marker is collinear when X leaves less than this share of its sum of squares (about
// its mean, if there is an intercept). Two markers that differ in one of 1e8 genotypes
// are above, rounding errors and covariates written with four decimals below.
constexpr double kCollinear = 1e-8;

class Stopwatch {
 public:
  // Seconds since the last call or the construction.
  double lap() {
    const auto now = std::chrono::steady_clock::now();
    const double seconds = std::chrono::duration<double>(now - last_).count();
    last_ = now;
    return seconds;
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

class Scanner {
 public:
  Scanner(const NullModel& null, GenotypeSource& source, const ScanOptions& options)
      : null_(null),
        source_(source),
        options_(options),
        df_(null.n - static_cast<double>(null.X.cols()) - 1),
        plan_(null, options.per_marker, options.nodes, options.half_width),
        nodes_(null, plan_.lambda()),
        wide_nodes_(null, plan_.wide_lambda()),
        null_ml_(nodes_.base_ml()[ScanPlan::kNullMl]) {
    const Index q = null.d.size(), columns = chunk_columns(q), N = nodes_.size();
    G_.resize(q, columns);
    X_.resize(q, columns);
    A_.resize(N, columns);
    B_.resize(N, columns);
    products_.resize(nodes_.product_rows(), columns);
    F_.resize(2 * N, columns);
    markers_.reserve(static_cast<std::size_t>(columns));
    spread_.resize(columns);
    widen_reml_.resize(columns);
    widen_ml_.resize(columns);
    set_id_basis();
    resize_results();
  }

  ScanResult run(Monitor& monitor) {
    const Index m = source_.markers();
    Stopwatch watch;
    while (next_ < m) {
      monitor.tick(next_, m);
      watch.lap();
      load();
      out_.read_seconds += watch.lap();
      rotate(monitor);
      out_.rotate_seconds += watch.lap();
      multiply();
      out_.sums_seconds += watch.lap();
      parallel_for(count(), options_.threads, [this](Index j) { test(j); });
      widen();
      copy_twins();
      out_.optima_seconds += watch.lap();
    }
    monitor.tick(m, m);
    return std::move(out_);
  }

 private:
  void resize_results() {
    const std::size_t m = static_cast<std::size_t>(source_.markers());
    const double nan = std::numeric_limits<double>::quiet_NaN();
    out_.status.assign(m, static_cast<int>(ScanStatus::kTested));
    out_.observed.assign(m, 0);
    out_.frequency.assign(m, nan);
    for (auto* column : result_columns()) column->assign(m, nan);
  }

  // Those that follow from the genotypes alone, mean imputation included.
  std::array<std::vector<double>*, 7> result_columns() {
    return {&out_.beta, &out_.se,  &out_.lambda, &out_.lambda_ml,
            &out_.wald, &out_.lrt, &out_.score};
  }

  // Orthonormal basis of the covariates that are constant within ids. Projected on what
  // they leave, a marker has small sums where they would cancel otherwise.
  void set_id_basis() {
    const Index p = null_.X.cols();
    Matrix X(null_.X.rows(), p);
    Index kept = 0;
    for (Index k = 0; k < p; ++k) {
      const double inside = null_.X.col(k).squaredNorm();
      if (null_.within(k, k) <= 1e-14 * inside) X.col(kept++) = null_.X.col(k);
    }
    Eigen::HouseholderQR<Matrix> qr(X.leftCols(kept));
    Q_ = qr.householderQ() * Matrix::Identity(X.rows(), kept);
    on_Q_.resize(kept, kBlock);
  }

  Index count() const { return static_cast<Index>(markers_.size()); }
  Index blocks() const { return (count() + kBlock - 1) / kBlock; }

  // Fills a chunk with the next markers that can be tested, scaled, and pads it by zeros.
  // Of markers with the same genotypes, which crosses and inbred lines have many of (a
  // quarter of mouse_hs1940), only one is computed.
  void load() {
    markers_.clear();
    twins_.clear();
    by_hash_.clear();
    while (next_ < source_.markers() && G_.cols() - count() >= kBlock / 2) {
      const Index read = std::min(G_.cols() - count(), source_.markers() - next_);
      load_more(read);
      next_ += read;
    }
    for (Index j = 0; j < count(); ++j) {
      G_.col(j).array() *= null_.scale.array();
      spread_[j] = sum_of_squares(G_.col(j));
    }
    G_.middleCols(count(), blocks() * kBlock - count()).setZero();
  }

  void load_more(Index read) {
    const Index start = count();
    MatrixRef fresh = G_.middleCols(start, read);
    source_.read(next_, read, fresh);
    const auto summaries = summarise_and_impute(fresh, 1);
    for (Index j = 0; j < read; ++j) {
      if (!usable(summaries[static_cast<std::size_t>(j)], next_ + j)) continue;
      const Index twin = find_or_add(fresh.col(j));
      if (twin < count()) {
        twins_.emplace_back(next_ + j, markers_[twin]);
        continue;
      }
      if (count() != start + j) G_.col(count()) = fresh.col(j);
      markers_.push_back(next_ + j);
    }
  }

  // The column of the chunk that holds these genotypes, or count(), where x will be.
  Index find_or_add(const Eigen::Ref<const Vector>& x) {
    const std::string_view bytes(reinterpret_cast<const char*>(x.data()),
                                 static_cast<std::size_t>(x.size()) * sizeof(double));
    Index& found =
        by_hash_.try_emplace(std::hash<std::string_view>()(bytes), count()).first->second;
    if (found < count() && G_.col(found) != x) found = count();
    return found;
  }

  // A marker with the genotypes of another has its results.
  void copy_twins() {
    for (const auto& [marker, of] : twins_) {
      out_.status[marker] = out_.status[of];
      for (auto* column : result_columns()) (*column)[marker] = (*column)[of];
    }
  }

  bool usable(const MarkerSummary& s, Index marker) {
    out_.observed[marker] = static_cast<int>(s.observed);
    // the first statuses are the fates of the marker
    auto status = static_cast<ScanStatus>(fate(s, source_.samples(), options_.filter));
    if (s.observed == 0) status = ScanStatus::kNoGenotypes;
    if (s.observed > 0) out_.frequency[marker] = s.mean / 2;
    out_.status[marker] = static_cast<int>(status);
    return status == ScanStatus::kTested;
  }

  // Of a scaled marker, about its mean if the model has an intercept.
  double sum_of_squares(const Eigen::Ref<const Vector>& x) const {
    if (null_.intercept.size() == 0) return x.squaredNorm();
    const double mean = null_.scale.dot(x) / null_.scale.squaredNorm();
    return (x - mean * null_.scale).squaredNorm();
  }

  void rotate(Monitor& monitor) {
    for (Index block = 0; block < blocks(); ++block) {
      if (block > 0) monitor.tick(markers_[block * kBlock], source_.markers());
      MatrixRef X = X_.middleCols(block * kBlock, kBlock);
      lapack::gemm(true, false, 1, null_.U, G_.middleCols(block * kBlock, kBlock), 0, X);
      if (Q_.cols() == 0) continue;
      lapack::gemm(true, false, 1, Q_, X, 0, on_Q_);
      lapack::gemm(false, false, -1, Q_, on_Q_, 1, X);
    }
  }

  void multiply() {
    for (Index j = 0; j < blocks() * kBlock; ++j) G_.col(j) = X_.col(j).cwiseAbs2();
    for (Index block = 0; block < blocks(); ++block) {
      const Index first = block * kBlock;
      nodes_.multiply(X_.middleCols(first, kBlock), G_.middleCols(first, kBlock),
                      A_.middleCols(first, kBlock), products_.middleCols(first, kBlock));
    }
  }

  // All tests of marker j of the chunk, but for an optimum that may be outside of the
  // main panels: that is noted in widen_reml_, widen_ml_.
  void test(Index j) {
    widen_reml_[j] = widen_ml_[j] = false;
    const Index marker = markers_[j];
    double* A = A_.col(j).data();
    double* B = B_.col(j).data();
    nodes_.sums(products_.col(j).data(), A, B);
    if (!(A[ScanPlan::kZero] > kCollinear * spread_[j])) {
      out_.status[marker] = static_cast<int>(ScanStatus::kCollinear);
      return;
    }
    const double r2 = explained(A[ScanPlan::kNullMl], B[ScanPlan::kNullMl],
                                nodes_.yPy()[ScanPlan::kNullMl]);
    out_.score[marker] = null_.n * r2;
    if (!plan_.per_marker()) {
      set_wald(marker, null_.lambda_reml, A[ScanPlan::kNullReml], B[ScanPlan::kNullReml],
               nodes_.yPy()[ScanPlan::kNullReml]);
      set_lrt(marker, null_.lambda_ml, null_ml_ + null_.n * std::log1p(-r2));
      return;
    }
    double* f = F_.col(j).data();
    reml_profile(nodes_, A, B, df_, f);
    widen_reml_[j] = !optimise_reml(marker, A, B, f);
    f += nodes_.size();
    ml_profile(nodes_, A, B, null_.n, f);
    widen_ml_[j] = !optimise_ml(marker, f);
  }

  bool optimise_reml(Index marker, const double* A, const double* B, const double* f) {
    const Optimum best =
        search(plan_.chebyshev(), f + ScanPlan::kMain, plan_.main_count());
    if (!plan_.is_global(f, best)) return false;
    wald_at(marker, nodes_, ScanPlan::kMain, plan_.main_first(), best, A, B);
    return true;
  }

  bool optimise_ml(Index marker, const double* f) {
    const Optimum best =
        search(plan_.chebyshev(), f + ScanPlan::kMain, plan_.main_count());
    if (!plan_.is_global(f, best)) return false;
    set_lrt(marker, plan_.lambda_at(plan_.main_first() + best.panel, best.x), best.value);
    return true;
  }

  // Redoes the noted optima of a chunk on all panels.
  void widen() {
    std::vector<Index> columns;
    for (Index j = 0; j < count(); ++j) {
      if (widen_reml_[j] || widen_ml_[j]) columns.push_back(j);
    }
    const Index total = static_cast<Index>(columns.size()), N = wide_nodes_.size();
    out_.widened += total;
    for (Index start = 0; start < total; start += kWideBlock) {
      const Index count = std::min(kWideBlock, total - start);
      wide_X_.setZero(X_.rows(), kWideBlock);
      for (Index i = 0; i < count; ++i) wide_X_.col(i) = X_.col(columns[start + i]);
      wide_X2_ = wide_X_.cwiseAbs2();
      for (Matrix* M : {&wide_A_, &wide_B_, &wide_F_}) M->resize(N, kWideBlock);
      wide_products_.resize(wide_nodes_.product_rows(), kWideBlock);
      wide_nodes_.multiply(wide_X_, wide_X2_, wide_A_, wide_products_);
      parallel_for(count, options_.threads,
                   [&](Index i) { test_wide(i, columns[start + i]); });
    }
  }

  void test_wide(Index i, Index j) {
    double* A = wide_A_.col(i).data();
    double* B = wide_B_.col(i).data();
    wide_nodes_.sums(wide_products_.col(i).data(), A, B);
    double* f = wide_F_.col(i).data();
    if (widen_reml_[j]) {
      reml_profile(wide_nodes_, A, B, df_, f);
      const Optimum best = search(plan_.chebyshev(), f, plan_.panels());
      wald_at(markers_[j], wide_nodes_, 0, 0, best, A, B);
    }
    if (widen_ml_[j]) {
      ml_profile(wide_nodes_, A, B, null_.n, f);
      const Optimum best = search(plan_.chebyshev(), f, plan_.panels());
      set_lrt(markers_[j], plan_.lambda_at(best.panel, best.x), best.value);
    }
  }

  // Interpolates what the Wald test needs. The searched panels' nodes start at `node` of
  // set; the first of these panels is `panel` of the tiling.
  void wald_at(Index marker, const NodeSet& set, Index node, Index panel,
               const Optimum& best, const double* A, const double* B) {
    const Index L = plan_.chebyshev().size();
    double weights[Chebyshev::kMaxNodes];
    plan_.chebyshev().weights(best.x, weights);
    node += best.panel * L;
    double a = 0, b = 0, yPy = 0;
    for (Index l = 0; l < L; ++l) {
      a += weights[l] * A[node + l];
      b += weights[l] * B[node + l];
      yPy += weights[l] * set.yPy()[node + l];
    }
    set_wald(marker, plan_.lambda_at(panel + best.panel, best.x), a, b, yPy);
  }

  void set_wald(Index marker, double lambda, double A, double B, double yPy) {
    const double r2 = explained(A, B, yPy);
    out_.lambda[marker] = lambda;
    out_.beta[marker] = B / A;
    out_.se[marker] = std::sqrt(yPy * (1 - r2) / (df_ * A));
    out_.wald[marker] = df_ * r2 / (1 - r2);
  }

  void set_lrt(Index marker, double lambda, double minimum) {
    out_.lambda_ml[marker] = lambda;
    out_.lrt[marker] = std::max(null_ml_ - minimum, 0.0);
  }

  const NullModel& null_;
  GenotypeSource& source_;
  const ScanOptions& options_;
  double df_;
  ScanPlan plan_;
  NodeSet nodes_, wide_nodes_;
  double null_ml_;  // the null's ML criterion
  Matrix Q_;        // q x at most p
  ScanResult out_;

  // The chunk: markers that can be tested, in columns padded to whole blocks.
  Index next_ = 0;                              // the first marker that has not been read
  std::vector<Index> markers_;                  // place in the source of each column
  std::vector<std::pair<Index, Index>> twins_;  // marker, the one that is computed
  std::unordered_map<std::size_t, Index> by_hash_;  // columns
  Matrix G_;                    // q x columns: scaled genotypes, then the squares of X_
  Matrix X_;                    // q x columns: rotated
  Matrix on_Q_;                 // Q_.cols() x kBlock
  Matrix A_, B_;                // nodes x columns
  Matrix products_;             // nodes_.product_rows() x columns
  Matrix F_;                    // 2 nodes x columns: REML above ML
  std::vector<double> spread_;  // per column, see sum_of_squares()
  std::vector<char> widen_reml_, widen_ml_;  // per column
  Matrix wide_X_, wide_X2_, wide_A_, wide_B_, wide_products_, wide_F_;
};

}  // namespace

ScanResult scan(const NullModel& null, GenotypeSource& source, const ScanOptions& options,
                Monitor& monitor) {
  const Index q = null.d.size();
  if (source.samples() != q) {
    throw Error("scan_samples", {{"expected", static_cast<double>(q)},
                                 {"got", static_cast<double>(source.samples())}});
  }
  const double df = null.n - static_cast<double>(null.X.cols()) - 1;
  if (df < 1) throw Error("scan_df", {{"df", df}});
  return Scanner(null, source, options).run(monitor);
}

}  // namespace kinlmm
