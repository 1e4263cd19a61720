#include <Eigen/Eigenvalues>
#include <cmath>
#include <limits>
#include <random>

#include "check.h"
#include "core/scan.h"

using namespace kinlmm;

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

class Random {
 public:
  explicit Random(unsigned seed) : engine_(seed) {}
  double uniform() { return (static_cast<double>(engine_()) + 0.5) / 4294967296.0; }
  double normal() {
    return std::sqrt(-2 * std::log(uniform())) *
           std::cos(2 * std::acos(-1.0) * uniform());
  }
  Matrix normals(Index rows, Index cols) {
    Matrix out(rows, cols);
    for (Index i = 0; i < out.size(); ++i) out.data()[i] = normal();
    return out;
  }

 private:
  std::mt19937 engine_;
};

// A null model and what it looks at.
struct Problem {
  Matrix U, X, within;
  Vector d, scale, y, intercept;
  double n = 0, lambda_reml = 0, lambda_ml = 0, lambda_max = 0;

  NullModel null() const {
    return {U, d, scale, X, y, within, intercept, n, lambda_reml, lambda_ml, lambda_max};
  }
};

// The criterion by its definition, at one lambda; x may be empty.
double criterion(const Problem& m, double lambda, const Vector& x, bool reml) {
  const Index p = m.X.cols(), k = p + (x.size() > 0 ? 1 : 0);
  Matrix M(m.d.size(), k + 1);
  M.leftCols(p) = m.X;
  if (k > p) M.col(p) = x;
  M.col(k) = m.y;
  const Vector w = (lambda * m.d.array() + 1).inverse();
  Matrix S = M.transpose() * w.asDiagonal() * M;
  S.topLeftCorner(p, p) += m.within.topLeftCorner(p, p);
  S.col(k).head(p) += m.within.col(p).head(p);
  S.row(k).head(p) += m.within.row(p).head(p);
  S(k, k) += m.within(p, p);
  const Vector pivots = S.ldlt().vectorD();
  const double yPy = 1 / S.inverse()(k, k);
  const double log_h = -w.array().log().sum();
  if (reml) {
    const double log_xx = pivots.array().log().sum() - std::log(yPy);
    return log_h + log_xx + (m.n - static_cast<double>(k)) * std::log(yPy);
  }
  const double log_c = m.intercept.size() > 0
                           ? std::log(m.intercept.dot(w.asDiagonal() * m.intercept))
                           : 0;
  return log_h + log_c + m.n * std::log(yPy);
}

struct Best {
  double lambda, value;
};

// Global minimum: a fine grid, then golden sections around its best point.
Best brute_force(const Problem& m, const Vector& x, bool reml) {
  const Index steps = 400;
  const double low = std::log(1e-4 / m.d.maxCoeff()), high = std::log(m.lambda_max);
  const auto at = [&](double t) { return criterion(m, std::exp(t), x, reml); };
  const auto place = [&](Index i) {
    return low + (high - low) * static_cast<double>(i) / static_cast<double>(steps);
  };
  Index best = 0;
  double value = at(low);
  for (Index i = 1; i <= steps; ++i) {
    const double f = at(place(i));
    if (f < value) {
      value = f;
      best = i;
    }
  }
  double a = place(std::max<Index>(best - 1, 0)), b = place(std::min(best + 1, steps));
  const double golden = (std::sqrt(5.0) - 1) / 2;
  for (int i = 0; i < 80; ++i) {
    const double c = b - golden * (b - a), e = a + golden * (b - a);
    if (at(c) < at(e)) {
      b = e;
    } else {
      a = c;
    }
  }
  Best out{std::exp((a + b) / 2), at((a + b) / 2)};
  const double zero = criterion(m, 0, x, reml), end = at(high);
  if (zero <= out.value) out = {0, zero};
  if (end <= out.value) out = {m.lambda_max, end};
  return out;
}

// n > q records in q ids, covariates within and between ids, y of the given variances.
Problem make_problem(Random& random, Index q, Index p, bool repeated, double lambda) {
  Problem m;
  const Matrix L = random.normals(q, q);
  const Eigen::SelfAdjointEigenSolver<Matrix> eigen(L * L.transpose());
  m.U = eigen.eigenvectors();
  m.d = eigen.eigenvalues();
  m.d = m.d.cwiseMax(0) / m.d.mean();
  m.scale = Vector::Ones(q);
  m.n = static_cast<double>(q);
  m.within = Matrix::Zero(p + 1, p + 1);
  if (repeated) {
    for (Index i = 0; i < q; ++i)
      m.scale[i] = std::sqrt(1 + std::floor(3 * random.uniform()));
    m.n = m.scale.squaredNorm();
    const Index rest = static_cast<Index>(m.n) - q;
    Matrix R = random.normals(rest, p + 1);
    if (p > 0) R.col(0).setZero();  // the intercept
    m.within = R.transpose() * R;
  }
  m.X = random.normals(q, p);
  if (p > 0) {
    m.intercept = m.U.transpose() * (m.scale / m.scale.norm());
    m.X.col(0) = m.U.transpose() * m.scale;
  }
  m.y = random.normals(q, 1).cwiseProduct((lambda * m.d.array() + 1).sqrt().matrix());
  m.lambda_max = 1e5;
  m.lambda_reml = brute_force(m, Vector(), true).lambda;
  m.lambda_ml = brute_force(m, Vector(), false).lambda;
  return m;
}

Matrix make_genotypes(Random& random, Index q, Index m) {
  Matrix G(q, m);
  for (Index j = 0; j < m; ++j) {
    const double f = 0.2 + 0.6 * random.uniform();
    for (Index i = 0; i < q; ++i) {
      G(i, j) = (random.uniform() < f ? 1 : 0) + (random.uniform() < f ? 1 : 0);
    }
  }
  return G;
}

std::vector<Index> sequence(Index n) {
  std::vector<Index> out;
  for (Index i = 0; i < n; ++i) out.push_back(i);
  return out;
}

ScanResult run(const Problem& m, const Matrix& G, const ScanOptions& options) {
  MatrixSource source(G, sequence(G.rows()), sequence(G.cols()));
  Monitor monitor;
  return scan(m.null(), source, options, monitor);
}

// Up to `tolerance`: some BLAS sum a column in an order that depends on where it stands.
bool same_marker(const ScanResult& a, Index i, const ScanResult& b, Index j,
                 double tolerance) {
  const auto same = [tolerance](double x, double y) {
    return x == y || (std::isnan(x) && std::isnan(y)) ||
           std::abs(x - y) <= tolerance * (1 + std::abs(x));
  };
  return a.status[i] == b.status[j] && same(a.beta[i], b.beta[j]) &&
         same(a.se[i], b.se[j]) && same(a.lambda[i], b.lambda[j]) &&
         same(a.lambda_ml[i], b.lambda_ml[j]) && same(a.wald[i], b.wald[j]) &&
         same(a.lrt[i], b.lrt[j]) && same(a.score[i], b.score[j]);
}

// A marker's results against the definitions. Where the profile is flat, lambda itself
// is known to the root of the precision of f only.
void check_marker(const Problem& m, const Matrix& G, const ScanResult& r, Index j) {
  const Vector x = m.U.transpose() * m.scale.cwiseProduct(G.col(j));
  const Best reml = brute_force(m, x, true), ml = brute_force(m, x, false);
  CHECK_NEAR(criterion(m, r.lambda[j], x, true), reml.value, 1e-8);
  CHECK_NEAR(criterion(m, r.lambda_ml[j], x, false), ml.value, 1e-8);
  const double lrt = criterion(m, m.lambda_ml, Vector(), false) - ml.value;
  CHECK_NEAR(r.lrt[j], std::max(lrt, 0.0), 1e-7);

  const Index p = m.X.cols();
  Matrix Xx(m.d.size(), p + 1);
  Xx << m.X, x;
  const Vector w = (r.lambda[j] * m.d.array() + 1).inverse();
  Matrix S = Xx.transpose() * w.asDiagonal() * Xx;
  S.topLeftCorner(p, p) += m.within.topLeftCorner(p, p);
  Vector Sy = Xx.transpose() * w.asDiagonal() * m.y;
  Sy.head(p) += m.within.col(p).head(p);
  const Vector coef = S.ldlt().solve(Sy);
  const double yy = m.y.dot(w.asDiagonal() * m.y) + m.within(p, p);
  const double df = m.n - static_cast<double>(p) - 1;
  const double sigma2 = (yy - coef.dot(Sy)) / df;
  const double se = std::sqrt(sigma2 * S.inverse()(p, p));
  CHECK_NEAR(r.beta[j], coef[p], 1e-7 * se);
  CHECK_NEAR(r.se[j], se, 1e-7 * se);
  CHECK_NEAR(r.wald[j], std::pow(coef[p] / se, 2), 1e-6 * (1 + r.wald[j]));
}

}  // namespace

TEST(scan_finds_every_optimum) {
  // small samples: their profiles have optima at both ends, and several
  Index widened = 0;
  for (unsigned seed = 1; seed <= 30; ++seed) {
    Random random(seed);
    const Index q = 8 + seed % 20, p = seed % 4;
    const double lambda = seed % 5 == 0 ? 0 : std::exp(4 * random.normal());
    const Problem m = make_problem(random, q, p, seed % 2 == 0, lambda);
    const Matrix G = make_genotypes(random, q, 6);
    const ScanResult r = run(m, G, ScanOptions());
    widened += r.widened;
    for (Index j = 0; j < G.cols(); ++j) {
      if (r.status[j] == static_cast<int>(ScanStatus::kTested)) check_marker(m, G, r, j);
    }
  }
  CHECK(widened > 0);
}

TEST(scan_score_is_that_of_the_null) {
  Random random(7);
  const Problem m = make_problem(random, 40, 2, true, 1);
  const Matrix G = make_genotypes(random, 40, 3);
  const ScanResult r = run(m, G, ScanOptions());
  const double null = criterion(m, m.lambda_ml, Vector(), false);
  for (Index j = 0; j < 3; ++j) {
    const Vector x = m.U.transpose() * m.scale.cwiseProduct(G.col(j));
    // the residual sum of squares falls by the share r2, and score is n r2
    const double f = criterion(m, m.lambda_ml, x, false);
    CHECK_NEAR(r.score[j], m.n * -std::expm1((f - null) / m.n), 1e-9);
  }
}

TEST(scan_keeps_lambda_when_asked_to) {
  Random random(8);
  const Problem m = make_problem(random, 40, 2, false, 1);
  const Matrix G = make_genotypes(random, 40, 3);
  ScanOptions options;
  options.per_marker = false;
  const ScanResult r = run(m, G, options), exact = run(m, G, ScanOptions());
  for (Index j = 0; j < 3; ++j) {
    const Vector x = m.U.transpose() * G.col(j);
    CHECK(r.lambda[j] == m.lambda_reml && r.lambda_ml[j] == m.lambda_ml);
    CHECK_NEAR(
        r.lrt[j],
        criterion(m, m.lambda_ml, Vector(), false) - criterion(m, m.lambda_ml, x, false),
        1e-9);
    CHECK(r.lrt[j] <= exact.lrt[j]);
    CHECK_NEAR(r.score[j], exact.score[j], 1e-10);
  }
}

TEST(scan_gives_reasons) {
  Random random(9);
  const Index q = 200;
  Problem m = make_problem(random, q, 2, false, 1);
  Matrix G = make_genotypes(random, q, 8);
  G.col(0).setConstant(kNan);
  G.col(1).head(11).setConstant(kNan);
  G.col(2).setConstant(1);
  G.col(3).setConstant(2);
  G.col(3).head(3).setConstant(1);
  m.X.col(1) = m.U.transpose() * (G.col(4) + Vector::Constant(q, 3));
  G.col(5).head(10).setConstant(kNan);
  G.col(7).setConstant(1);
  G(0, 7) = 0;
  G(1, 7) = 2;
  ScanOptions options;
  options.filter.hwe = 1e-20;
  const ScanResult r = run(m, G, options);
  const ScanStatus expected[] = {ScanStatus::kNoGenotypes, ScanStatus::kMissing,
                                 ScanStatus::kMonomorphic, ScanStatus::kMaf,
                                 ScanStatus::kCollinear,   ScanStatus::kTested,
                                 ScanStatus::kTested,      ScanStatus::kHwe};
  for (Index j = 0; j < 8; ++j) CHECK(r.status[j] == static_cast<int>(expected[j]));
  CHECK(r.observed[0] == 0 && r.observed[1] == 189 && r.observed[5] == 190);
  CHECK(std::isnan(r.frequency[0]));
  CHECK_NEAR(r.frequency[3], 1 - 1.5 / 200, 1e-15);
  CHECK(std::isnan(r.beta[4]) && std::isnan(r.score[3]) && !std::isnan(r.beta[5]));
}

TEST(scan_does_not_see_the_other_markers) {
  Random random(10);
  const Index q = 50, markers = 300;
  const Problem m = make_problem(random, q, 3, true, 0.5);
  const Matrix G = make_genotypes(random, q, markers);
  Matrix reversed = G.rowwise().reverse();
  const ScanResult r = run(m, G, ScanOptions()), back = run(m, reversed, ScanOptions());
  ScanOptions threaded;
  threaded.threads = 2;
  const ScanResult twice = run(m, G, threaded);
  for (Index j = 0; j < markers; ++j) {
    CHECK(same_marker(r, j, back, markers - 1 - j, 1e-7));
    CHECK(same_marker(r, j, twice, j, 0));
  }
  for (Index j : {0, 17, 299}) {
    CHECK(same_marker(r, j, run(m, G.col(j), ScanOptions()), 0, 1e-7));
  }
}

TEST(scan_gives_twins_the_same) {
  Random random(14);
  const Problem m = make_problem(random, 40, 2, true, 1);
  Matrix G = make_genotypes(random, 40, 5);
  G.col(1) = G.col(0);
  G.col(4) = G.col(0);
  G(3, 4) = kNan;
  const ScanResult r = run(m, G, ScanOptions());
  CHECK(same_marker(r, 0, r, 1, 0));
  CHECK(!same_marker(r, 0, r, 4, 0));
  CHECK(same_marker(r, 4, run(m, G.col(4), ScanOptions()), 0, 1e-7));
  CHECK(r.observed[1] == 40 && r.observed[4] == 39);
}

TEST(scan_scales_with_y) {
  Random random(11);
  Problem m = make_problem(random, 30, 2, false, 2);
  const Matrix G = make_genotypes(random, 30, 4);
  const ScanResult r = run(m, G, ScanOptions());
  m.y *= 1024;
  const ScanResult scaled = run(m, G, ScanOptions());
  for (Index j = 0; j < 4; ++j) {
    CHECK_NEAR(scaled.beta[j] / 1024, r.beta[j], 1e-9 * r.se[j]);
    CHECK_NEAR(scaled.wald[j], r.wald[j], 1e-8 * (1 + r.wald[j]));
  }
}

TEST(scan_tiles_the_whole_range) {
  Random random(12);
  Problem m = make_problem(random, 20, 1, false, 1);
  for (double reml : {0.0, 1e-3, 0.5, 30.0, 1e5}) {
    m.lambda_reml = reml;
    m.lambda_ml = std::min(2 * reml, 1e5);
    const Tiling tiling = tile_range(m.null(), 1);
    CHECK(tiling.panels.front().lambda(-1) == 0);
    CHECK_NEAR(tiling.panels.back().lambda(1), 1e5, 1e-6);
    for (std::size_t i = 1; i < tiling.panels.size(); ++i) {
      const double joint = tiling.panels[i].lambda(-1);
      CHECK_NEAR(tiling.panels[i - 1].lambda(1), joint, 1e-12 * joint);
    }
    const Index last = tiling.main_first + tiling.main_count - 1;
    CHECK(tiling.panels[tiling.main_first].lambda(-1) <= reml);
    CHECK(tiling.panels[last].lambda(1) >= m.lambda_ml * (1 - 1e-12));
  }
}

TEST(scan_refuses_what_does_not_fit) {
  Random random(13);
  Problem m = make_problem(random, 10, 2, false, 1);
  CHECK_THROWS_KIND(run(m, make_genotypes(random, 9, 1), ScanOptions()), "scan_samples");
  const Matrix G = make_genotypes(random, 10, 1);
  Problem few = m;
  few.n = 3;
  CHECK_THROWS_KIND(run(few, G, ScanOptions()), "scan_df");
  m.X.col(1).setZero();
  CHECK_THROWS_KIND(run(m, G, ScanOptions()), "scan_rank");
}
