#include <cmath>
#include <vector>

#include "check.h"
#include "core/grm.h"
#include "genotypes.h"

using namespace kinlmm;

namespace {

struct Ticks : Monitor {
  void tick(Index done, Index total) override {
    dones.push_back(done);
    last_total = total;
  }
  std::vector<Index> dones;
  Index last_total = 0;
};

struct Result {
  Matrix K;
  GrmCounts counts;
};

Result compute(const Matrix& X, const GrmOptions& options) {
  MatrixSource source(X, all(X.rows()), all(X.cols()));
  Monitor monitor;
  Result out{Matrix::Constant(X.rows(), X.rows(), kMissing), {}};
  out.counts = grm(source, options, monitor, out.K);
  return out;
}

// K from its definition, all polymorphic markers used.
Matrix dense(Matrix X, bool standardized) {
  Matrix K = Matrix::Zero(X.rows(), X.rows());
  double used = 0;
  for (Index j = 0; j < X.cols(); ++j) {
    double sum = 0, observed = 0;
    for (Index i = 0; i < X.rows(); ++i) {
      if (std::isnan(X(i, j))) continue;
      sum += X(i, j);
      ++observed;
    }
    Vector z(X.rows());
    for (Index i = 0; i < X.rows(); ++i) {
      z[i] = std::isnan(X(i, j)) ? 0 : X(i, j) - sum / observed;
    }
    const double variance = z.squaredNorm() / static_cast<double>(X.rows());
    if (variance == 0) continue;
    if (standardized) z /= std::sqrt(variance);
    K += z * z.transpose();
    ++used;
  }
  return K / used;
}

}  // namespace

TEST(grm_agrees_with_its_definition) {
  const Matrix X = counts_with_missing(150, 83, 1);
  for (bool standardized : {false, true}) {
    GrmOptions options;
    options.standardized = standardized;
    const Result got = compute(X, options);
    CHECK_NEAR((got.K - dense(X, standardized)).cwiseAbs().maxCoeff(), 0, 1e-13);
    CHECK(got.K == got.K.transpose());
    CHECK(got.counts.monomorphic == 16 && got.counts.used == 67);
  }
}

TEST(grm_does_not_depend_on_blocks_or_threads) {
  const Matrix X = counts_with_missing(97, 83, 1);
  const Matrix K = compute(X, {}).K;
  for (Index block : {1, 7, 82, 83, 84}) {
    GrmOptions options;
    options.block = block;
    options.threads = 3;
    CHECK_NEAR((compute(X, options).K - K).cwiseAbs().maxCoeff(), 0, 1e-14);
  }
}

TEST(grm_counts_each_marker_once) {
  Matrix X(10, 5);
  X.col(0) << 0, 1, 2, 0, 1, 2, 0, 1, 2, 0;
  X.col(1) << 0, 0, 0, 0, 0, 0, 0, 0, 0, 1;                // maf 0.05
  X.col(2) << 2, 2, 2, 2, 2, 2, 2, 2, 2, 1;                // of A2
  X.col(3) << 0, 1, kMissing, kMissing, 2, 0, 1, 2, 0, 1;  // 20% missing
  X.col(4) << 1, 1, 1, 1, 1, 1, 1, 1, 1, kMissing;
  GrmOptions options;
  options.filter.maf = 0.05;
  options.filter.missing = 0.1;
  GrmCounts c = compute(X, options).counts;
  CHECK(c.used == 3 && c.rare == 0 && c.missing == 1 && c.monomorphic == 1);
  options.filter.maf = 0.06;
  c = compute(X, options).counts;
  CHECK(c.used == 1 && c.rare == 2 && c.missing == 1 && c.monomorphic == 1);
  options.filter.missing = 0;
  c = compute(X, options).counts;
  CHECK(c.used == 1 && c.rare == 2 && c.missing == 2 && c.monomorphic == 0);
}

TEST(grm_of_no_markers_is_zero) {
  const Result none = compute(Matrix::Ones(4, 3), {});
  CHECK(none.counts.used == 0 && none.counts.monomorphic == 3 && none.K.isZero());
  CHECK(compute(Matrix(4, 0), {}).K.isZero());
}

TEST(grm_reports_every_block) {
  const Matrix X = counts_with_missing(20, 25, 1);
  MatrixSource source(X, all(20), all(25));
  Ticks ticks;
  GrmOptions options;
  options.block = 10;
  Matrix K(20, 20);
  grm(source, options, ticks, K);
  CHECK((ticks.dones == std::vector<Index>{10, 20, 25}) && ticks.last_total == 25);
}
