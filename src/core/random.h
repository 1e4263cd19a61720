// Random numbers. The generator is xoshiro256++ (Blackman and Vigna 2021): R's own can't
// be drawn from by several threads, and those of the standard library differ between
// compilers. The caller seeds it from R's, so that set.seed() makes every result
// reproducible, whatever the number of threads: each piece of work draws from a stream of
// its own.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>

#include "core/types.h"

namespace kinlmm {

class Random {
 public:
  // Streams of one seed are independent for all purposes: their states are hashed.
  explicit Random(std::uint64_t seed, std::uint64_t stream = 0) {
    std::uint64_t at = mix(seed) ^ mix(stream + 0x632be59bd9b4e019u);
    for (std::uint64_t& word : state_) word = mix(at += 0x9e3779b97f4a7c15u);
  }

  std::uint64_t bits() {
    const std::uint64_t out = rotate(state_[0] + state_[3], 23) + state_[0];
    const std::uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = rotate(state_[3], 45);
    return out;
  }

  // In (0, 1), both ends excluded.
  double uniform() { return (static_cast<double>(bits() >> 12) + 0.5) * 0x1p-52; }
  bool bernoulli(double p) { return uniform() < p; }
  // 0, ..., count - 1; count below 2^32.
  Index below(Index count) {
    const std::uint64_t high = bits() >> 32;
    return static_cast<Index>((high * static_cast<std::uint64_t>(count)) >> 32);
  }
  double exponential() { return -std::log(uniform()); }

  // Marsaglia's polar method.
  double normal() {
    if (kept_) {
      kept_ = false;
      return spare_;
    }
    double u, v, s;
    do {
      u = 2 * uniform() - 1;
      v = 2 * uniform() - 1;
      s = u * u + v * v;
    } while (s >= 1 || s == 0);
    const double scale = std::sqrt(-2 * std::log(s) / s);
    spare_ = v * scale;
    kept_ = true;
    return u * scale;
  }

  // Of scale 1 (Marsaglia and Tsang 2000); shape > 0.
  double gamma(double shape) {
    if (shape < 1) return gamma(shape + 1) * std::pow(uniform(), 1 / shape);
    const double d = shape - 1.0 / 3, c = 1 / std::sqrt(9 * d);
    for (;;) {
      const double x = normal(), root = 1 + c * x;
      if (root <= 0) continue;
      const double v = root * root * root;
      if (std::log(uniform()) < 0.5 * x * x + d - d * v + d * std::log(v)) return d * v;
    }
  }
  double chi_square(double df) { return 2 * gamma(0.5 * df); }
  double beta(double a, double b) {
    const double x = gamma(a), y = gamma(b);
    return x / (x + y);
  }

 private:
  static std::uint64_t rotate(std::uint64_t x, int by) {
    return (x << by) | (x >> (64 - by));
  }
  // The finaliser of splitmix64.
  static std::uint64_t mix(std::uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
  }

  std::array<std::uint64_t, 4> state_;
  double spare_ = 0;
  bool kept_ = false;
};

}  // namespace kinlmm
