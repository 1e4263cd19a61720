#include <cstring>

#include "core/gram_kernels.h"

#ifdef __SSE2__  // of every processor of 64 bits from Intel and AMD
#include <emmintrin.h>
#endif

namespace kinlmm {

namespace {

constexpr Index kAt = 4;  // rows and columns multiplied at a time: what registers hold
constexpr Index kWide = 8;

// Of 16 bytes, as all compilers for R have them.
using Shorts = std::int16_t __attribute__((vector_size(16)));
using Halves = std::uint16_t __attribute__((vector_size(16)));
using Ints = std::int32_t __attribute__((vector_size(16)));

// a_0 b_0 + a_1 b_1, a_2 b_2 + a_3 b_3, ...; no product is above 2^14.
inline Ints dot_pairs(Shorts a, Shorts b) {
#ifdef __SSE2__
  return (Ints)_mm_madd_epi16((__m128i)a, (__m128i)b);
#else
  const Ints products = (Ints)(a * b);
  return ((products << 16) >> 16) + (products >> 16);
#endif
}

// Four samples of a column panel: markers 0 and 2 of each four, and 1 and 3.
struct Columns {
  explicit Columns(const std::uint8_t* from) {
    Halves all;
    std::memcpy(&all, from, sizeof all);
    even = (Shorts)(all & 255);
    odd = (Shorts)(all >> 8);
  }
  Shorts even, odd;
};

// The same of one sample of a row panel, whose bytes are signed.
struct Row {
  explicit Row(const std::uint8_t* from) {
    std::int32_t word;
    std::memcpy(&word, from, sizeof word);
    const Shorts all = (Shorts)(Ints{word, word, word, word});
    even = (all << 8) >> 8;
    odd = all >> 8;
  }
  Shorts even, odd;
};

inline void add_products(const Row& row, const Columns& column, Ints& sum) {
  sum += dot_pairs(row.even, column.even) + dot_pairs(row.odd, column.odd);
}

inline void add_to(std::int32_t* out, Ints sum) {
  Ints before;
  std::memcpy(&before, out, sizeof before);
  sum += before;
  std::memcpy(out, &sum, sizeof sum);
}

void multiply_part(const std::uint8_t* rows, const std::uint8_t* columns, Index fours,
                   std::int32_t* out, Index stride) {
  Ints a0{}, a1{}, b0{}, b1{}, c0{}, c1{}, d0{}, d1{};
  for (Index k = 0; k < fours; ++k) {
    const std::uint8_t* at = rows + 64 * k;
    const Columns left(columns + 64 * k), right(columns + 64 * k + 16);
    const Row a(at), b(at + 4), c(at + 8), d(at + 12);
    add_products(a, left, a0);
    add_products(a, right, a1);
    add_products(b, left, b0);
    add_products(b, right, b1);
    add_products(c, left, c0);
    add_products(c, right, c1);
    add_products(d, left, d0);
    add_products(d, right, d1);
  }
  add_to(out, a0);
  add_to(out + 4, a1);
  add_to(out + stride, b0);
  add_to(out + stride + 4, b1);
  add_to(out + 2 * stride, c0);
  add_to(out + 2 * stride + 4, c1);
  add_to(out + 3 * stride, d0);
  add_to(out + 3 * stride + 4, d1);
}

void multiply(const std::uint8_t* rows, const std::uint8_t* columns, Index panel,
              Index fours, std::int32_t* out, Index stride) {
  for (Index c = 0; c < kColumns; c += kWide) {
    const std::uint8_t* at = columns + c / kPanel * panel + c % kPanel * 4;
    for (Index r = 0; r < kRows; r += kAt) {
      multiply_part(rows + 4 * r, at, fours, out + r * stride + c, stride);
    }
  }
}

void pack(const std::uint8_t* counts, Index n, const Index* order,
          const std::uint8_t* one, const std::uint8_t* two, Index markers, Index width,
          std::uint8_t* out) {
  for (Index k = 0; k < markers; ++k) {
    std::uint8_t* to = out + k / 4 * 64 + k % 4;
    std::uint8_t values[4] = {0, one[k], 0, 0};
    values[two[k]] = static_cast<std::uint8_t>(2 * one[k]);
    for (Index i = 0; i < kPanel; ++i) {
      const bool there = order[k] >= 0 && i < width;
      to[4 * i] = there ? values[counts[order[k] * n + i]] : std::uint8_t(0);
    }
  }
}

void look_up(const std::uint8_t* counts, Index n, const int* list, Index length,
             const double* table, Index width, double* out) {
  for (Index k = 0; k < length; ++k) {
    const std::uint8_t* x = counts + list[k] * n;
    const double* value = table + 4 * Index(list[k]);
    for (Index i = 0; i < width; ++i) out[i] += value[x[i]];
  }
}

void accumulate(const std::int32_t* from, double scale, Index count, double* to) {
  for (Index i = 0; i < count; ++i) to[i] += scale * from[i];
}

}  // namespace

const GramKernels& portable_kernels() {
  static const GramKernels kernels = {multiply, multiply, pack, look_up, accumulate};
  return kernels;
}

const GramKernels& gram_kernels(Instructions instructions) {
  if (instructions == Instructions::automatic) {
    instructions = available_instructions().back();
  }
#ifdef KINLMM_X86
  if (instructions == Instructions::avx2) return avx2_kernels();
  if (instructions == Instructions::vnni) return vnni_kernels();
#endif
  return portable_kernels();
}

}  // namespace kinlmm
