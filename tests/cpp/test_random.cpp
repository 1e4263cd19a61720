#include <cmath>
#include <vector>

#include "check.h"
#include "core/random.h"

using namespace kinlmm;

namespace {

constexpr int kDraws = 200000;

// Mean and variance of draws, each within five standard errors of the theoretical one;
// kurtosis: fourth central moment over the squared variance.
template <class F>
void check_moments(F&& draw, double mean, double variance, double kurtosis) {
  double sum = 0, squares = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double x = draw() - mean;
    sum += x;
    squares += x * x;
  }
  CHECK_NEAR(sum / kDraws, 0, 5 * std::sqrt(variance / kDraws));
  CHECK_NEAR(squares / kDraws, variance,
             5 * variance * std::sqrt((kurtosis - 1) / kDraws));
}

}  // namespace

TEST(random_moments) {
  Random random(1);
  check_moments([&] { return random.uniform(); }, 0.5, 1.0 / 12, 1.8);
  check_moments([&] { return random.normal(); }, 0, 1, 3);
  check_moments([&] { return random.exponential(); }, 1, 1, 9);
  for (double shape : {0.2, 1.0, 2.5, 40.0}) {
    check_moments([&] { return random.gamma(shape); }, shape, shape, 3 + 6 / shape);
  }
  check_moments([&] { return random.chi_square(3); }, 3, 6, 7);
  check_moments([&] { return random.beta(2, 2); }, 0.5, 0.05, 15.0 / 7);
  check_moments([&] { return random.bernoulli(0.3) ? 1.0 : 0.0; }, 0.3, 0.21,
                (1 - 3 * 0.21) / 0.21);
}

TEST(random_below_is_uniform) {
  Random random(2);
  std::vector<int> counts(7, 0);
  for (int i = 0; i < kDraws; ++i) ++counts[static_cast<std::size_t>(random.below(7))];
  for (int count : counts) {
    CHECK_NEAR(count, kDraws / 7.0, 5 * std::sqrt(kDraws / 7.0));
  }
}

TEST(random_streams_repeat_and_differ) {
  Random one(3, 0), again(3, 0), other(3, 1), seed(4, 0);
  double with_other = 0, with_seed = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double x = one.normal();
    CHECK(x == again.normal());
    with_other += x * other.normal();
    with_seed += x * seed.normal();
  }
  CHECK_NEAR(with_other / kDraws, 0, 5 / std::sqrt(kDraws));
  CHECK_NEAR(with_seed / kDraws, 0, 5 / std::sqrt(kDraws));
}
