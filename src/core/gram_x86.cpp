#include "core/gram_kernels.h"

#ifdef KINLMM_X86

#include <immintrin.h>

#include <cstring>

#define AVX2 __attribute__((target("avx2")))
#define VNNI __attribute__((target("avx512f,avx512bw,avx512vnni")))

namespace kinlmm {

namespace {

inline int four_bytes(const std::uint8_t* at) {
  int out;
  std::memcpy(&out, at, sizeof out);
  return out;
}

// Registers are named, not elements of an array, so that no compiler puts them on the
// stack.

// Sums are added by assembler: from intrinsics gcc makes copies of all sums, and stores
// some to the stack, at every step.
#define ADD_TO(add, sum, x) asm(add " %1, %0, %0" : "+x"(sum) : "x"(x))

#define ADD_PRODUCTS(sum, column)                            \
  {                                                          \
    const __m256i pairs = _mm256_maddubs_epi16(column, row); \
    if constexpr (kCounts) {                                 \
      ADD_TO("vpaddw", sum, pairs);                          \
    } else {                                                 \
      ADD_TO("vpaddd", sum, _mm256_madd_epi16(pairs, ones)); \
    }                                                        \
  }
#define ROW(r)                                                     \
  {                                                                \
    const __m256i row = _mm256_set1_epi32(four_bytes(at + 4 * r)); \
    ADD_PRODUCTS(sum##r##0, left)                                  \
    ADD_PRODUCTS(sum##r##1, right)                                 \
  }
#define STORE(r, half)                                                                  \
  {                                                                                     \
    __m256i* to = reinterpret_cast<__m256i*>(out + r * stride + 8 * half);              \
    const __m256i sum = kCounts ? _mm256_madd_epi16(sum##r##half, ones) : sum##r##half; \
    _mm256_storeu_si256(to, _mm256_add_epi32(_mm256_loadu_si256(to), sum));             \
  }

// 4 rows x 16 columns. Pairs of products do not saturate 16 bits: 8 kLargest < 2^15; nor
// do, of counts, the sums of all: 8 kFours < 2^15.
template <bool kCounts>
AVX2 void multiply_part(const std::uint8_t* rows, const std::uint8_t* columns,
                        Index fours, std::int32_t* out, Index stride) {
  const __m256i ones = _mm256_set1_epi16(1);
  __m256i sum00 = _mm256_setzero_si256(), sum01 = sum00, sum10 = sum00, sum11 = sum00;
  __m256i sum20 = sum00, sum21 = sum00, sum30 = sum00, sum31 = sum00;
  for (Index k = 0; k < fours; ++k) {
    const std::uint8_t* at = rows + 64 * k;
    const auto* from = reinterpret_cast<const __m256i*>(columns + 64 * k);
    const __m256i left = _mm256_loadu_si256(from), right = _mm256_loadu_si256(from + 1);
    ROW(0) ROW(1) ROW(2) ROW(3)
  }
  STORE(0, 0)
  STORE(0, 1) STORE(1, 0) STORE(1, 1) STORE(2, 0) STORE(2, 1) STORE(3, 0) STORE(3, 1)
}

#undef ADD_TO
#undef ADD_PRODUCTS
#undef ROW
#undef STORE

template <bool kCounts>
void multiply_avx2(const std::uint8_t* rows, const std::uint8_t* columns, Index panel,
                   Index fours, std::int32_t* out, Index stride) {
  for (Index c = 0; c < kColumns; c += kPanel) {
    for (Index r = 0; r < kRows; r += 4) {
      multiply_part<kCounts>(rows + 4 * r, columns + c / kPanel * panel, fours,
                             out + r * stride + c, stride);
    }
  }
}

// 8 rows x 48 columns of any bytes.
#define DOT(sum, column) asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(column), "v"(row))
#define ROW(r)                                                     \
  {                                                                \
    const __m512i row = _mm512_set1_epi32(four_bytes(at + 4 * r)); \
    DOT(sum##r##0, first);                                         \
    DOT(sum##r##1, second);                                        \
    DOT(sum##r##2, third);                                         \
  }
#define ZERO(r) __m512i sum##r##0 = zero, sum##r##1 = zero, sum##r##2 = zero;
#define ADD(r)                                                                    \
  {                                                                               \
    std::int32_t* to = out + r * stride;                                          \
    _mm512_storeu_si512(to, _mm512_add_epi32(_mm512_loadu_si512(to), sum##r##0)); \
    to += kPanel;                                                                 \
    _mm512_storeu_si512(to, _mm512_add_epi32(_mm512_loadu_si512(to), sum##r##1)); \
    to += kPanel;                                                                 \
    _mm512_storeu_si512(to, _mm512_add_epi32(_mm512_loadu_si512(to), sum##r##2)); \
  }

VNNI void multiply_vnni(const std::uint8_t* rows, const std::uint8_t* columns,
                        Index panel, Index fours, std::int32_t* out, Index stride) {
  const __m512i zero = _mm512_setzero_si512();
  ZERO(0)
  ZERO(1)
  ZERO(2) ZERO(3) ZERO(4) ZERO(5) ZERO(6) ZERO(7) for (Index k = 0; k < fours; ++k) {
    const std::uint8_t* at = rows + 64 * k;
    const std::uint8_t* from = columns + 64 * k;
    const __m512i first = _mm512_loadu_si512(from);
    const __m512i second = _mm512_loadu_si512(from + panel);
    const __m512i third = _mm512_loadu_si512(from + 2 * panel);
    ROW(0) ROW(1) ROW(2) ROW(3) ROW(4) ROW(5) ROW(6) ROW(7)
  }
  ADD(0) ADD(1) ADD(2) ADD(3) ADD(4) ADD(5) ADD(6) ADD(7)
}

#undef DOT
#undef ROW
#undef ZERO
#undef ADD

// The values of 16 samples at one marker.
AVX2 inline __m128i values_of(const std::uint8_t* counts, std::uint8_t one,
                              std::uint8_t two) {
  const auto all = [](int byte) AVX2 { return _mm_set1_epi8(static_cast<char>(byte)); };
  const __m128i x = _mm_loadu_si128(reinterpret_cast<const __m128i*>(counts));
  return _mm_or_si128(_mm_and_si128(_mm_cmpeq_epi8(x, all(1)), all(one)),
                      _mm_and_si128(_mm_cmpeq_epi8(x, all(two)), all(2 * one)));
}

AVX2 void pack_avx2(const std::uint8_t* counts, Index n, const Index* order,
                    const std::uint8_t* one, const std::uint8_t* two, Index markers,
                    Index width, std::uint8_t* out) {
  Index k = 0;
  for (; width == kPanel && k < markers && order[k + 3] >= 0; k += 4) {
    const __m128i a = values_of(counts + order[k] * n, one[k], two[k]);
    const __m128i b = values_of(counts + order[k + 1] * n, one[k + 1], two[k + 1]);
    const __m128i c = values_of(counts + order[k + 2] * n, one[k + 2], two[k + 2]);
    const __m128i d = values_of(counts + order[k + 3] * n, one[k + 3], two[k + 3]);
    const __m128i low = _mm_unpacklo_epi8(a, b), low2 = _mm_unpacklo_epi8(c, d);
    const __m128i high = _mm_unpackhi_epi8(a, b), high2 = _mm_unpackhi_epi8(c, d);
    auto* to = reinterpret_cast<__m128i*>(out + 16 * k);
    _mm_storeu_si128(to, _mm_unpacklo_epi16(low, low2));
    _mm_storeu_si128(to + 1, _mm_unpackhi_epi16(low, low2));
    _mm_storeu_si128(to + 2, _mm_unpacklo_epi16(high, high2));
    _mm_storeu_si128(to + 3, _mm_unpackhi_epi16(high, high2));
  }
  portable_kernels().pack(counts, n, order + k, one + k, two + k, markers - k, width,
                          out + 16 * k);
}

// Adds the values of eight samples to sums whose order is 0, 1, 4, 5 and 2, 3, 6, 7: the
// halves of doubles are looked up apart.
#define LOOK_UP(x, low_sum, high_sum)                                                    \
  {                                                                                      \
    const __m256i at = _mm256_cvtepu8_epi32(x);                                          \
    const __m256i lows = _mm256_permutevar8x32_epi32(table_low, at);                     \
    const __m256i highs = _mm256_permutevar8x32_epi32(table_high, at);                   \
    low_sum =                                                                            \
        _mm256_add_pd(low_sum, _mm256_castsi256_pd(_mm256_unpacklo_epi32(lows, highs))); \
    high_sum = _mm256_add_pd(high_sum,                                                   \
                             _mm256_castsi256_pd(_mm256_unpackhi_epi32(lows, highs)));   \
  }
#define LOAD(i, low_sum, high_sum)                     \
  {                                                    \
    const __m256d one = _mm256_loadu_pd(to + i);       \
    const __m256d two = _mm256_loadu_pd(to + i + 4);   \
    low_sum = _mm256_permute2f128_pd(one, two, 0x20);  \
    high_sum = _mm256_permute2f128_pd(one, two, 0x31); \
  }
#define STORE(i, low_sum, high_sum)                                                \
  {                                                                                \
    _mm256_storeu_pd(to + i, _mm256_permute2f128_pd(low_sum, high_sum, 0x20));     \
    _mm256_storeu_pd(to + i + 4, _mm256_permute2f128_pd(low_sum, high_sum, 0x31)); \
  }

AVX2 void look_up_avx2(const std::uint8_t* counts, Index n, const int* list, Index length,
                       const double* table, Index width, double* out) {
  // even halves of eight words first, odd ones then
  const __m256i apart = _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7);
  Index i = 0;
  for (; i + 32 <= width; i += 32) {
    double* to = out + i;
    __m256d a, b, c, d, e, f, g, h;
    LOAD(0, a, b)
    LOAD(8, c, d) LOAD(16, e, f) LOAD(24, g, h) for (Index k = 0; k < length; ++k) {
      const auto* x = reinterpret_cast<const __m128i*>(counts + list[k] * n + i);
      const __m256i table_low = _mm256_permutevar8x32_epi32(
          _mm256_castpd_si256(_mm256_loadu_pd(table + 4 * Index(list[k]))), apart);
      const __m256i table_high = _mm256_permute4x64_epi64(table_low, 0x4e);
      const __m128i first = _mm_loadu_si128(x), second = _mm_loadu_si128(x + 1);
      LOOK_UP(first, a, b)
      LOOK_UP(_mm_srli_si128(first, 8), c, d)
      LOOK_UP(second, e, f)
      LOOK_UP(_mm_srli_si128(second, 8), g, h)
    }
    STORE(0, a, b) STORE(8, c, d) STORE(16, e, f) STORE(24, g, h)
  }
  portable_kernels().look_up(counts + i, n, list, length, table, width - i, out + i);
}

#undef LOOK_UP
#undef LOAD
#undef STORE

#define LOOK_UP(i, sum)                                                             \
  sum = _mm512_add_pd(                                                              \
      sum, _mm512_maskz_permutexvar_pd(                                             \
               0xff,                                                                \
               _mm512_maskz_cvtepu8_epi64(                                          \
                   0xff, _mm_loadl_epi64(reinterpret_cast<const __m128i*>(x + i))), \
               values));

VNNI void look_up_vnni(const std::uint8_t* counts, Index n, const int* list, Index length,
                       const double* table, Index width, double* out) {
  Index i = 0;
  for (; i + 64 <= width; i += 64) {
    double* to = out + i;
    __m512d a = _mm512_loadu_pd(to), b = _mm512_loadu_pd(to + 8);
    __m512d c = _mm512_loadu_pd(to + 16), d = _mm512_loadu_pd(to + 24);
    __m512d e = _mm512_loadu_pd(to + 32), f = _mm512_loadu_pd(to + 40);
    __m512d g = _mm512_loadu_pd(to + 48), h = _mm512_loadu_pd(to + 56);
    for (Index k = 0; k < length; ++k) {
      const std::uint8_t* x = counts + list[k] * n + i;
      const __m512d values =
          _mm512_maskz_broadcast_f64x4(0xff, _mm256_loadu_pd(table + 4 * Index(list[k])));
      LOOK_UP(0, a)
      LOOK_UP(8, b)
      LOOK_UP(16, c)
      LOOK_UP(24, d)
      LOOK_UP(32, e)
      LOOK_UP(40, f)
      LOOK_UP(48, g)
      LOOK_UP(56, h)
    }
    _mm512_storeu_pd(to, a);
    _mm512_storeu_pd(to + 8, b);
    _mm512_storeu_pd(to + 16, c);
    _mm512_storeu_pd(to + 24, d);
    _mm512_storeu_pd(to + 32, e);
    _mm512_storeu_pd(to + 40, f);
    _mm512_storeu_pd(to + 48, g);
    _mm512_storeu_pd(to + 56, h);
  }
  portable_kernels().look_up(counts + i, n, list, length, table, width - i, out + i);
}

#undef LOOK_UP

AVX2 void accumulate_avx2(const std::int32_t* from, double scale, Index count,
                          double* to) {
  const __m256d by = _mm256_set1_pd(scale);
  Index i = 0;
  for (; i + 4 <= count; i += 4) {
    const __m256d x =
        _mm256_cvtepi32_pd(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i)));
    _mm256_storeu_pd(to + i,
                     _mm256_add_pd(_mm256_loadu_pd(to + i), _mm256_mul_pd(by, x)));
  }
  portable_kernels().accumulate(from + i, scale, count - i, to + i);
}

}  // namespace

const GramKernels& avx2_kernels() {
  static const GramKernels kernels = {multiply_avx2<false>, multiply_avx2<true>,
                                      pack_avx2, look_up_avx2, accumulate_avx2};
  return kernels;
}

const GramKernels& vnni_kernels() {
  static const GramKernels kernels = {multiply_vnni, multiply_vnni, pack_avx2,
                                      look_up_vnni, accumulate_avx2};
  return kernels;
}

}  // namespace kinlmm

#endif
