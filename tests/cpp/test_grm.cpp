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

double half_mean(const Matrix& X, Index j) {
  double sum = 0, observed = 0;
  for (Index i = 0; i < X.rows(); ++i) {
    if (std::isnan(X(i, j))) continue;
    sum += X(i, j);
    ++observed;
  }
  return sum / observed / 2;
}

struct Dense {
  Matrix K, N;
};

// By the definitions in grm.h, all polymorphic markers used but those where `without` is
// their j % 3.
Dense dense(const Matrix& X, const GrmOptions& options, Index without = -1) {
  const Index n = X.rows();
  Matrix S = Matrix::Zero(n, n), D = S, N = S;
  for (Index j = 0; j < X.cols(); ++j) {
    if (j % 5 == 4 || j % 3 == without) continue;  // see counts_with_missing()
    const double p = half_mean(X, j), q = 1 - p, h = 2 * p * q;
    Vector z(n), o = Vector::Ones(n);
    for (Index i = 0; i < n; ++i) {
      const double x = X(i, j);
      z[i] = x - 2 * p;
      if (options.method == GrmMethod::dominance) z[i] = (x == 1) - h;
      if (options.method == GrmMethod::vitezica) {
        z[i] = x == 0 ? -2 * p * p : x == 1 ? h : -2 * q * q;
      }
      if (std::isnan(x)) z[i] = o[i] = 0;
    }
    double d = 1;
    if (options.method == GrmMethod::standardized) {
      z /= std::sqrt(z.squaredNorm() / (options.pairwise ? o.sum() : double(n)));
    }
    if (options.method == GrmMethod::vanraden2) z /= std::sqrt(h);
    if (options.method == GrmMethod::vanraden1) d = h;
    if (options.method == GrmMethod::dominance) d = h * (1 - h);
    if (options.method == GrmMethod::vitezica) d = h * h;
    const double w = options.weight.empty() ? 1 : options.weight[std::size_t(j)];
    S += w * z * z.transpose();
    const Matrix oo = o * o.transpose();
    D += w * d * (options.pairwise ? oo : Matrix::Ones(n, n));
    N += oo;
  }
  return {S.cwiseQuotient(D), N};
}

double largest(const Matrix& x) {
  return x.cwiseAbs().maxCoeff();
}

const GrmMethod kMethods[] = {GrmMethod::centered,  GrmMethod::standardized,
                              GrmMethod::vanraden1, GrmMethod::vanraden2,
                              GrmMethod::dominance, GrmMethod::vitezica};

// Weights that differ are taken to some 1e-10, see add_gram().
constexpr double kClose = 1e-8;

double bound(const GrmOptions& options, bool pairwise = false) {
  const bool same = options.weight.empty() && !pairwise &&
                    options.method != GrmMethod::standardized &&
                    options.method != GrmMethod::vanraden2;
  return same ? 1e-12 : kClose;
}

// Matrices of `groups` groups of markers, by j % groups.
std::vector<Dense> grouped(const Matrix& X, GrmOptions options, Index groups) {
  std::vector<Index> markers;
  std::vector<double> weight;
  for (Index g = 0; g < groups; ++g) {
    options.sizes.push_back(0);
    for (Index j = g; j < X.cols(); j += groups) {
      markers.push_back(j);
      ++options.sizes.back();
      if (!options.weight.empty()) weight.push_back(options.weight[std::size_t(j)]);
    }
  }
  options.weight = weight;
  const Matrix none = Matrix::Constant(X.rows(), X.rows(), kMissing);
  std::vector<Dense> out(std::size_t(groups), {none, none});
  std::vector<GrmTarget> targets;
  for (Dense& one : out) targets.push_back({one.K.data(), one.N.data()});
  MatrixSource source(X, all(X.rows()), markers);
  Monitor monitor;
  grm(source, options, monitor, targets);
  return out;
}

}  // namespace

TEST(grm_agrees_with_its_definition) {
  const Matrix X = counts_with_missing(150, 83, 1);
  for (const GrmMethod method : kMethods) {
    GrmOptions options;
    options.method = method;
    options.threads = 2;
    const Result got = compute(X, options);
    CHECK_NEAR(largest(got.K - dense(X, options).K), 0, bound(options));
    CHECK(got.K == got.K.transpose());
    CHECK(got.counts.monomorphic == 16 && got.counts.used == 67);
  }
}

TEST(grm_leaves_pairs_out_weighs_and_groups) {
  const Matrix X = counts_with_missing(70, 83, 3);
  for (const GrmMethod method : kMethods) {
    for (const bool pairwise : {false, true}) {
      for (const bool weighted : {false, true}) {
        GrmOptions options;
        options.method = method;
        options.pairwise = pairwise;
        options.block = 5;
        if (weighted) {
          for (int j = 0; j < 83; ++j) options.weight.push_back(1 + j % 7);
        }
        const Dense whole = grouped(X, options, 1)[0], reference = dense(X, options);
        CHECK_NEAR(largest(whole.K - reference.K), 0, bound(options, pairwise));
        options.leave_out = true;
        const auto parts = grouped(X, options, 3);
        for (Index g = 0; g < 3; ++g) {
          const Dense at = dense(X, options, g);
          const Dense& part = parts[std::size_t(g)];
          CHECK_NEAR(largest(part.K - at.K), 0, bound(options, pairwise));
          CHECK(part.K == part.K.transpose());
          if (pairwise) CHECK(part.N == at.N);
        }
        if (pairwise) CHECK(whole.N == reference.N);
      }
    }
  }
}

// A marker that is a dosage for one sample takes its whole block to the other way.
TEST(grm_of_dosages_is_that_of_counts) {
  Matrix X = counts_with_missing(40, 60, 5);
  for (const GrmMethod method : kMethods) {
    for (const bool pairwise : {false, true}) {
      GrmOptions options;
      options.method = method;
      options.pairwise = pairwise;
      const Dense counts = grouped(X, options, 1)[0];
      Matrix Y(40, 61);
      Y << X, Vector::LinSpaced(40, 0, 0.1);
      options.filter.maf = 0.1;  // the last one is left out
      const Dense dosages = grouped(Y, options, 1)[0];
      CHECK_NEAR(largest(counts.K - dosages.K), 0, bound(options, pairwise));
      if (pairwise) CHECK(counts.N == dosages.N);
    }
  }
}

TEST(grm_of_dosages_between_whole_numbers) {
  Matrix X(4, 1);
  X << 0, 0.5, 1.25, 2;
  const double p = X.mean() / 2, q = 1 - p, h = 2 * p * q;
  GrmOptions options;
  options.method = GrmMethod::dominance;
  Vector z(4);
  z << -h, 0.5 - h, 0.75 - h, -h;
  CHECK_NEAR(largest(compute(X, options).K - z * z.transpose() / (h * (1 - h))), 0,
             1e-14);
  options.method = GrmMethod::vitezica;
  z << -2 * p * p, (h - 2 * p * p) / 2, 0.75 * h - 0.5 * q * q, -2 * q * q;
  CHECK_NEAR(largest(compute(X, options).K - z * z.transpose() / (h * h)), 0, 1e-14);
}

TEST(grm_groups_must_be_all_markers) {
  GrmOptions options;
  options.sizes = {2, 2};
  CHECK_THROWS_KIND(compute(Matrix::Ones(4, 5), options), "grm_groups");
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
