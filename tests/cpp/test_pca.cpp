#include <algorithm>
#include <cmath>

#include "check.h"
#include "core/pca.h"
#include "core/random.h"
#include "genotypes.h"

using namespace kinlmm;

namespace {

// Populations of different sizes; a few genotypes missing, every 40th marker constant.
Matrix populations(Index n, Index m, Index count) {
  Random random(3);
  Matrix X(n, m);
  for (Index s = 0; s < m; ++s) {
    Vector p(count);
    for (Index c = 0; c < count; ++c) p[c] = 0.2 + 0.6 * random.uniform();
    for (Index i = 0; i < n; ++i) {
      const double of = p[std::min(count - 1, i % (2 * count))];
      X(i, s) = random.bernoulli(of) + random.bernoulli(of);
      if (s % 40 == 7) X(i, s) = 1;
      if (random.bernoulli(0.02)) X(i, s) = kMissing;
    }
  }
  return X;
}

Pca compute(const Matrix& X, const PcaOptions& options) {
  MatrixSource source(X, all(X.rows()), all(X.cols()));
  Monitor monitor;
  return pca(source, options, monitor);
}

// Z by its definition.
Matrix standardise(const Matrix& X, const Pca& of) {
  Matrix Z(X.rows(), static_cast<Index>(of.used.size()));
  for (Index s = 0; s < Z.cols(); ++s) {
    for (Index i = 0; i < Z.rows(); ++i) {
      const double x = X(i, of.used[s]);
      Z(i, s) = std::isnan(x) ? 0 : (x - of.mean[s]) * of.scale[s];
    }
  }
  return Z;
}

void check_against_svd(const Matrix& X, const Pca& got, double angle, double value) {
  const Matrix Z = standardise(X, got);
  const Index k = got.values.size();
  const double m = static_cast<double>(Z.cols());
  const Eigen::BDCSVD<Matrix> svd(Z, Eigen::ComputeThinU | Eigen::ComputeThinV);
  const Vector d = svd.singularValues().array().square() / m;
  CHECK_NEAR(got.trace, d.sum(), 1e-10 * d.sum());
  for (Index c = 0; c < k; ++c) {
    CHECK_NEAR(got.values[c], d[c], value * d[c]);
    const double u = svd.matrixU().col(c).dot(got.scores.col(c)) / std::sqrt(d[c]);
    const double v = svd.matrixV().col(c).dot(got.loadings.col(c));
    CHECK_NEAR(std::abs(u), 1, angle);
    CHECK_NEAR(std::abs(v), 1, angle);
    CHECK(got.scores.col(c).maxCoeff() == got.scores.col(c).cwiseAbs().maxCoeff());
  }
  CHECK_NEAR((Z * got.loadings / std::sqrt(m) - got.scores).cwiseAbs().maxCoeff(), 0,
             1e-12);
  CHECK_NEAR((got.loadings.transpose() * got.loadings - Matrix::Identity(k, k))
                 .cwiseAbs()
                 .maxCoeff(),
             0, 1e-12);
}

}  // namespace

TEST(pca_agrees_with_a_singular_value_decomposition) {
  for (const bool dosage : {false, true}) {
    Matrix X = populations(157, 1010, 5);
    if (dosage) X.col(3) *= 0.9;
    for (const MarkerUnit unit :
         {MarkerUnit::deviation, MarkerUnit::frequency, MarkerUnit::none}) {
      PcaOptions options;
      options.components = 4;
      options.unit = unit;
      options.block = 300;
      options.threads = 2;
      Pca got = compute(X, options);
      check_against_svd(X, got, 1e-8, 1e-7);
      CHECK(got.fates[0] == 984 && got.fates[2] == 26 && got.passes > 1);
      options.exact = true;
      got = compute(X, options);
      check_against_svd(X, got, 1e-12, 1e-12);
      CHECK(got.passes == 2);
    }
  }
}

TEST(pca_does_not_depend_on_threads_or_blocks) {
  const Matrix X = populations(130, 700, 4);
  PcaOptions options;
  options.components = 3;
  const Pca one = compute(X, options);
  options.threads = 3;
  const Pca three = compute(X, options);
  CHECK(one.scores == three.scores && one.loadings == three.loadings);
  options.keep = 0;
  const Pca read_again = compute(X, options);
  CHECK(one.scores == read_again.scores);
  options.block = 48;
  const Pca blocks = compute(X, options);
  CHECK_NEAR((one.scores - blocks.scores).cwiseAbs().maxCoeff(), 0, 1e-5);
}

TEST(pca_finds_components_that_hardly_stand_out) {
  const Matrix X = populations(120, 300, 2);
  PcaOptions options;
  options.components = 12;
  options.tolerance = 1e-6;
  options.passes = 100;
  const Pca got = compute(X, options);
  check_against_svd(X, got, 1e-7, 1e-9);
}

TEST(pca_of_few_samples_or_markers) {
  PcaOptions options;
  options.components = 3;
  for (const bool exact : {false, true}) {
    options.exact = exact;
    check_against_svd(populations(200, 4, 2), compute(populations(200, 4, 2), options),
                      1e-9, 1e-9);
    check_against_svd(populations(4, 200, 2), compute(populations(4, 200, 2), options),
                      1e-9, 1e-9);
    CHECK_THROWS_KIND(compute(populations(3, 200, 2), options), "pca_rank");
    CHECK_THROWS_KIND(compute(populations(200, 2, 2), options), "pca_rank");
    const Pca none = compute(Matrix::Ones(5, 3), options);
    CHECK(none.used.empty() && none.fates[2] == 3);
  }
}

TEST(projections_of_the_same_samples_are_their_scores) {
  const Matrix X = populations(90, 500, 3);
  PcaOptions options;
  options.components = 2;
  const Pca got = compute(X, options);
  MatrixSource source(X, all(90), got.used);
  Monitor monitor;
  const Matrix scores = project(source, got.mean, got.scale, got.loadings, monitor) /
                        std::sqrt(static_cast<double>(got.used.size()));
  CHECK_NEAR((scores - got.scores).cwiseAbs().maxCoeff(), 0, 1e-12);
}
