#include "core/chebyshev.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace kinlmm {

Chebyshev::Chebyshev(Index size) {
  if (size < 2 || size > kMaxNodes) {
    throw Error("chebyshev_size", {{"size", static_cast<double>(size)}});
  }
  const double pi = std::acos(-1.0);
  const double L = static_cast<double>(size);
  nodes_.resize(size);
  barycentric_.resize(size);
  to_c_.resize(size, size);
  for (Index l = 0; l < size; ++l) {
    const double angle = pi * (L - static_cast<double>(l) - 0.5) / L;
    nodes_[l] = std::cos(angle);
    barycentric_[l] = (l % 2 == 0 ? 1 : -1) * std::sin(angle);
    for (Index k = 0; k < size; ++k) {
      to_c_(k, l) = (k == 0 ? 1 : 2) / L * std::cos(static_cast<double>(k) * angle);
    }
  }
}

void Chebyshev::coefficients(const double* values, double* c) const {
  const Index L = size();
  std::fill(c, c + L, 0.0);
  for (Index l = 0; l < L; ++l) {
    for (Index k = 0; k < L; ++k) c[k] += to_c_(k, l) * values[l];
  }
}

void Chebyshev::differentiate(const double* c, double* derivative) const {
  const Index L = size();
  derivative[L - 1] = 0;
  derivative[L - 2] = 2 * static_cast<double>(L - 1) * c[L - 1];
  for (Index k = L - 2; k > 0; --k) {
    derivative[k - 1] = derivative[k + 1] + 2 * static_cast<double>(k) * c[k];
  }
  derivative[0] /= 2;
}

// Clenshaw's recurrence.
double Chebyshev::value(const double* c, double x) const {
  double b1 = 0, b2 = 0;
  for (Index k = size() - 1; k > 0; --k) {
    const double b0 = 2 * x * b1 - b2 + c[k];
    b2 = b1;
    b1 = b0;
  }
  return x * b1 - b2 + c[0];
}

void Chebyshev::weights(double x, double* weights) const {
  const Index L = size();
  double total = 0;
  for (Index l = 0; l < L; ++l) {
    if (x == nodes_[l]) {
      std::fill(weights, weights + L, 0.0);
      weights[l] = 1;
      return;
    }
    weights[l] = barycentric_[l] / (x - nodes_[l]);
    total += weights[l];
  }
  for (Index l = 0; l < L; ++l) weights[l] /= total;
}

ChebyshevMinimum Chebyshev::minimise(const double* values) const {
  const Index L = size();
  double f[kMaxNodes], slope[kMaxNodes], bend[kMaxNodes];
  coefficients(values, f);
  differentiate(f, slope);
  differentiate(slope, bend);

  const Index best = std::min_element(values, values + L) - values;
  double low = best > 0 ? nodes_[best - 1] : -1;
  double high = best < L - 1 ? nodes_[best + 1] : 1;
  double x = nodes_[best];
  if (best == 0 && value(slope, -1) >= 0) high = x = -1;
  if (best == L - 1 && value(slope, 1) <= 0) low = x = 1;

  constexpr double kTolerance = 1e-12;
  for (int iteration = 0; iteration < 100 && high - low > kTolerance; ++iteration) {
    const double g = value(slope, x), curvature = value(bend, x);
    if (g > 0) {
      high = x;
    } else {
      low = x;
    }
    double next = x - g / curvature;
    if (!(curvature > 0 && next >= low && next <= high)) next = low + (high - low) / 2;
    const double step = std::abs(next - x);
    x = next;
    if (step <= kTolerance) break;
  }
  return {x, value(f, x)};
}

}  // namespace kinlmm
