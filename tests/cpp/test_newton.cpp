#include <cmath>
#include <vector>

#include "check.h"
#include "core/newton.h"

using namespace kinlmm;

namespace {

std::vector<double> grid() {
  std::vector<double> out;
  for (double x = 1e-4; x < 2e3; x *= 4) out.push_back(x);
  return out;
}

}  // namespace

TEST(interval_minimum_inside) {
  const auto f = [](double x) {
    const double u = std::log(x + 1) - 2;
    return Point{x, u * u, 2 * u / (x + 1), (2 - 2 * u) / ((x + 1) * (x + 1))};
  };
  const IntervalMinimum found = minimise_on_interval(f, grid());
  CHECK_NEAR(found.at.x, std::exp(2.0) - 1, 1e-12);
  CHECK(found.bound == 0);
  CHECK(found.minima == 1);
}

TEST(interval_minimum_at_the_bounds) {
  const auto rising = [](double x) { return Point{x, x, 1, 0}; };
  CHECK(minimise_on_interval(rising, grid()).bound == -1);
  CHECK(minimise_on_interval(rising, grid()).at.x == 0.0);
  const auto falling = [](double x) { return Point{x, -x, -1, 0}; };
  CHECK(minimise_on_interval(falling, grid()).bound == 1);
  CHECK_NEAR(minimise_on_interval(falling, grid()).at.x, grid().back(), 1e-12);
}

TEST(interval_minimum_takes_the_best_of_several) {
  // minima near x = 1 (value 0.2) and x = 100 (value 0), on a log scale
  const auto f = [](double x) {
    const double u = std::log10(x + 1e-3);
    const double value = u * u * (u - 2) * (u - 2) + 0.1 * (2 - u);
    const double slope = 2 * u * (u - 2) * (2 * u - 2) - 0.1;
    const double curve = 2 * ((u - 2) * (2 * u - 2) + u * (2 * u - 2) + 2 * u * (u - 2));
    const double d1 = 1 / ((x + 1e-3) * std::log(10.0));
    const double d2 = -d1 / (x + 1e-3);
    return Point{x, value, slope * d1, curve * d1 * d1 + slope * d2};
  };
  const IntervalMinimum found = minimise_on_interval(f, grid());
  CHECK(found.minima == 2);
  CHECK(found.at.x > 50 && found.at.x < 200);
}

TEST(newton_leaves_a_saddle_point) {
  // x^4/4 - x^2/2 + y^2: a saddle at the origin, minima at (+-1, 0)
  const auto f = [](const Vector& v) {
    Evaluation e;
    const double x = v(0), y = v(1);
    e.value = x * x * x * x / 4 - x * x / 2 + y * y;
    e.gradient.resize(2);
    e.gradient << x * x * x - x, 2 * y;
    e.hessian.resize(2, 2);
    e.hessian << 3 * x * x - 1, 0, 0, 2;
    return e;
  };
  const NewtonResult found = minimise_newton(f, Vector::Zero(2), 1e-10, 100);
  CHECK(found.converged);
  CHECK_NEAR(std::abs(found.x(0)), 1, 1e-10);
  CHECK_NEAR(found.x(1), 0, 1e-10);
}

TEST(newton_on_a_curved_valley) {
  const auto rosenbrock = [](const Vector& v) {
    Evaluation e;
    const double x = v(0), y = v(1), d = y - x * x;
    e.value = 100 * d * d + (1 - x) * (1 - x);
    e.gradient.resize(2);
    e.gradient << -400 * x * d - 2 * (1 - x), 200 * d;
    e.hessian.resize(2, 2);
    e.hessian << 1200 * x * x - 400 * y + 2, -400 * x, -400 * x, 200;
    return e;
  };
  Vector start(2);
  start << -1.2, 1;
  const NewtonResult found = minimise_newton(rosenbrock, start, 1e-10, 100);
  CHECK(found.converged);
  CHECK_NEAR(found.x(0), 1, 1e-9);
  CHECK(found.iterations < 40);
}

TEST(newton_says_when_it_has_not_arrived) {
  const auto f = [](const Vector& v) {
    Evaluation e;
    e.value = std::exp(-v(0));
    e.gradient = Vector::Constant(1, -e.value);
    e.hessian = Matrix::Constant(1, 1, e.value);
    return e;
  };
  CHECK(!minimise_newton(f, Vector::Zero(1), 1e-12, 3).converged);
}
