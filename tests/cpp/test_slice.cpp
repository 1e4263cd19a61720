#include <cmath>
#include <vector>

#include "check.h"
#include "core/slice.h"

using namespace kinlmm;

namespace {

// Chains of a density; draws of each, one after the other in the columns.
Matrix sample(const LogDensity& density, const Vector& start, Index chains,
              const SliceSettings& settings, int threads) {
  std::vector<SliceChain> all;
  for (Index c = 0; c < chains; ++c) {
    all.emplace_back(density, start, Random(7, static_cast<std::uint64_t>(c)));
  }
  Matrix out(start.size(), chains * settings.iterations);
  Monitor silent;
  run_chains(
      all, settings,
      [&](Index c, Index draw) {
        out.col(c * settings.iterations + draw) = all[static_cast<std::size_t>(c)].at();
      },
      threads, silent);
  return out;
}

}  // namespace

// Standard deviations of 100 and 0.1, correlation 0.95.
TEST(slice_learns_directions) {
  Matrix covariance(2, 2);
  covariance << 1e4, 9.5, 9.5, 1e-2;
  const Matrix precision = covariance.inverse();
  const LogDensity normal = [&](const Vector& x) { return -0.5 * x.dot(precision * x); };
  const Index n = 5000;
  const Matrix draws = sample(normal, Vector::Constant(2, 1.0), 4, {400, n, 1, false}, 1);
  const double count = static_cast<double>(draws.cols());
  const Vector mean = draws.rowwise().mean();
  const Matrix second = draws * draws.transpose() / count;
  for (Index i = 0; i < 2; ++i) {
    const double sd = std::sqrt(covariance(i, i));
    CHECK_NEAR(mean[i], 0, 6 * sd / std::sqrt(count));
    CHECK_NEAR(second(i, i) / covariance(i, i), 1, 6 * std::sqrt(2 / count) * 1.5);
  }
  CHECK_NEAR(second(0, 1) / 9.5, 1, 0.08);
  // draws of one chain are nearly independent
  double lag = 0;
  for (Index i = 1; i < n; ++i) lag += draws(0, i) * draws(0, i - 1);
  CHECK_NEAR(lag / static_cast<double>(n) / 1e4, 0, 0.25);
}

// A variance near its boundary: the logarithm has a long tail on one side.
void check_long_tail(bool dear) {
  const LogDensity exponential = [](const Vector& x) { return x[0] - std::exp(x[0]); };
  const Matrix draws = sample(exponential, Vector::Zero(1), 4, {200, 5000, 1, dear}, 1);
  double sum = 0, small = 0;
  for (Index i = 0; i < draws.cols(); ++i) {
    sum += std::exp(draws(0, i));
    small += draws(0, i) < std::log(0.01);
  }
  const double n = static_cast<double>(draws.cols());
  CHECK_NEAR(sum / n, 1, 6 / std::sqrt(n));
  CHECK_NEAR(small / n, 1 - std::exp(-0.01), 6 * std::sqrt(0.01 / n));
}

TEST(slice_long_tail) {
  check_long_tail(false);
  check_long_tail(true);
}

void check_threads(bool dear) {
  const LogDensity normal = [](const Vector& x) { return -0.5 * x.squaredNorm(); };
  const SliceSettings settings{50, 30, 2, dear};
  const Matrix one = sample(normal, Vector::Zero(3), 3, settings, 1);
  CHECK(one == sample(normal, Vector::Zero(3), 3, settings, 3));
  CHECK(one.col(0) != one.col(30));
}

TEST(slice_same_with_threads) {
  check_threads(false);
  check_threads(true);
}

// Far fewer evaluations, of the same density.
TEST(slice_dear) {
  Index evaluations = 0;
  const LogDensity normal = [&](const Vector& x) {
    ++evaluations;
    const double a = x[0], b = x[1] - 0.9 * a;
    return -0.5 * (a * a + b * b / 0.19);
  };
  const Index n = 4000;
  const Matrix draws = sample(normal, Vector::Zero(2), 4, {200, n, 1, true}, 1);
  const double count = static_cast<double>(draws.cols());
  CHECK_NEAR(draws.row(0).mean(), 0, 6 * 1.5 / std::sqrt(count));
  CHECK_NEAR(draws.row(0).squaredNorm() / count, 1, 6 * 2 * std::sqrt(2 / count));
  CHECK_NEAR(draws.row(0).dot(draws.row(1)) / count, 0.9, 0.1);
  const Index dear = evaluations;
  evaluations = 0;
  sample(normal, Vector::Zero(2), 4, {200, n, 1, false}, 1);
  CHECK(2 * dear < evaluations);
}

TEST(slice_start) {
  const LogDensity never = [](const Vector&) { return -INFINITY; };
  CHECK_THROWS_KIND(SliceChain(never, Vector::Zero(1), Random(1)), "sampler_start");
}
