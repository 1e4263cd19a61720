// Multiplications of bytes and additions that one core does in a second when nothing has to be
// loaded: what the kernels of src/core/gram_x86.cpp are measured by.
//   g++ -O2 bench/peak.cpp -o peak && ./peak
#include <immintrin.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

namespace {

constexpr long kTimes = 20000000;

template <class F>
double best_seconds(F&& run) {
  double best = 1e9;
  for (int i = 0; i < 7; ++i) {
    const auto start = std::chrono::steady_clock::now();
    run();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    best = std::min(best, took.count());
  }
  return best;
}

__attribute__((target("avx512f,avx512vnni"))) void vnni() {
  __m512i a = _mm512_set1_epi32(1), b = a, c = a, d = a, e = a, f = a, g = a, h = a;
  __m512i x = a, i = a, j = a, k = a, l = a;
  for (long t = 0; t < kTimes; ++t) {
    asm volatile(
        "vpdpbusd %12, %12, %0\n vpdpbusd %12, %12, %1\n vpdpbusd %12, %12, %2\n"
        "vpdpbusd %12, %12, %3\n vpdpbusd %12, %12, %4\n vpdpbusd %12, %12, %5\n"
        "vpdpbusd %12, %12, %6\n vpdpbusd %12, %12, %7\n vpdpbusd %12, %12, %8\n"
        "vpdpbusd %12, %12, %9\n vpdpbusd %12, %12, %10\n vpdpbusd %12, %12, %11\n"
        : "+v"(a), "+v"(b), "+v"(c), "+v"(d), "+v"(e), "+v"(f), "+v"(g), "+v"(h), "+v"(i),
          "+v"(j), "+v"(k), "+v"(l)
        : "v"(x));
  }
}

__attribute__((target("avx2"))) void avx2() {
  __m256i a, b, c, d, e, f, g, h, x = _mm256_set1_epi32(1);
  for (long t = 0; t < kTimes; ++t) {
    asm volatile(
        "vpmaddubsw %8, %8, %0\n vpmaddubsw %8, %8, %1\n vpmaddubsw %8, %8, %2\n"
        "vpmaddubsw %8, %8, %3\n vpmaddubsw %8, %8, %4\n vpmaddubsw %8, %8, %5\n"
        "vpmaddubsw %8, %8, %6\n vpmaddubsw %8, %8, %7\n"
        : "=v"(a), "=v"(b), "=v"(c), "=v"(d), "=v"(e), "=v"(f), "=v"(g), "=v"(h)
        : "v"(x));
  }
}

}  // namespace

int main() {
  if (__builtin_cpu_supports("avx512vnni")) {
    std::printf("vnni %.4g\n", 12.0 * 64 * kTimes / best_seconds(vnni));
  }
  if (__builtin_cpu_supports("avx2")) {
    std::printf("avx2 %.4g\n", 8.0 * 32 * kTimes / best_seconds(avx2));
  }
}
