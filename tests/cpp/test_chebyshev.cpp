#include <cmath>

#include "check.h"
#include "core/chebyshev.h"

using namespace kinlmm;

namespace {

Vector at_nodes(const Chebyshev& chebyshev, double (*f)(double)) {
  return chebyshev.nodes().unaryExpr(f);
}

double interpolate(const Chebyshev& chebyshev, const Vector& values, double x) {
  Vector weights(chebyshev.size());
  chebyshev.weights(x, weights.data());
  return weights.dot(values);
}

}  // namespace

TEST(chebyshev_reproduces_polynomials) {
  const Chebyshev chebyshev(6);
  const auto f = [](double x) { return 1 - 2 * x + x * x * x - 3 * std::pow(x, 5); };
  const auto slope = [](double x) { return -2 + 3 * x * x - 15 * std::pow(x, 4); };
  const Vector values = at_nodes(chebyshev, f);
  Vector c(6), derivative(6);
  chebyshev.coefficients(values.data(), c.data());
  chebyshev.differentiate(c.data(), derivative.data());
  for (double x : {-1.0, -0.7, 0.0, 0.3, 1.0}) {
    CHECK_NEAR(chebyshev.value(c.data(), x), f(x), 1e-14);
    CHECK_NEAR(interpolate(chebyshev, values, x), f(x), 1e-14);
    CHECK_NEAR(chebyshev.value(derivative.data(), x), slope(x), 1e-13);
  }
}

TEST(chebyshev_converges_as_the_ellipse_of_the_pole_says) {
  // the pole at -1.25 is that of the linear panel, in its half-widths: rho is 2
  const auto f = [](double x) { return 1 / (x + 1.25); };
  for (Index L : {8, 16, 32}) {
    const Chebyshev chebyshev(L);
    const Vector values = at_nodes(chebyshev, f);
    CHECK_NEAR(interpolate(chebyshev, values, 0.377), f(0.377),
               10 * std::pow(2.0, -static_cast<double>(L)));
  }
}

TEST(chebyshev_interpolates_at_its_own_nodes) {
  const Chebyshev chebyshev(5);
  const Vector values = at_nodes(chebyshev, [](double x) { return std::exp(x); });
  for (Index l = 0; l < 5; ++l) {
    CHECK(interpolate(chebyshev, values, chebyshev.nodes()[l]) == values[l]);
  }
}

TEST(chebyshev_finds_minima_inside_and_at_both_ends) {
  const Chebyshev chebyshev(16);
  struct Case {
    double (*f)(double);
    double x;
  };
  const Case cases[] = {
      {[](double x) { return std::cosh(3 * (x - 0.123)); }, 0.123},
      {[](double x) { return (x + 0.999) * (x + 0.999); }, -0.999},
      {[](double x) { return std::exp(x); }, -1},
      {[](double x) { return std::exp(-x); }, 1},
      {[](double x) { return std::cos(4 * x) + 0.01 * x; },
       -(std::acos(-1.0) + std::asin(0.0025)) / 4},
  };
  for (const Case& c : cases) {
    const Vector values = at_nodes(chebyshev, c.f);
    const ChebyshevMinimum minimum = chebyshev.minimise(values.data());
    CHECK_NEAR(minimum.x, c.x, 1e-8);
    CHECK_NEAR(minimum.value, c.f(c.x), 1e-8);
  }
}

TEST(chebyshev_takes_a_constant) {
  const Chebyshev chebyshev(8);
  const Vector values = Vector::Constant(8, 3.0);
  const ChebyshevMinimum minimum = chebyshev.minimise(values.data());
  CHECK(minimum.x >= -1 && minimum.x <= 1);
  CHECK_NEAR(minimum.value, 3, 1e-14);
}

TEST(chebyshev_refuses_sizes_without_room) {
  CHECK_THROWS_KIND(Chebyshev(1), "chebyshev_size");
  CHECK_THROWS_KIND(Chebyshev(Chebyshev::kMaxNodes + 1), "chebyshev_size");
}
