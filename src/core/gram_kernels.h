// The inner loops of gram.cpp, for each set of instructions.
#pragma once

#include <cstdint>

#include "core/cpu.h"
#include "core/types.h"

namespace kinlmm {

// A panel holds kPanel samples of a block, four markers at a time: the byte of marker m
// and sample i is at 64 (m / 4) + 4 i + m % 4. Its length is a multiple of 64 bytes.
constexpr Index kPanel = 16;
constexpr Index kRows = 8;      // samples of a row panel that are multiplied at a time
constexpr Index kColumns = 48;  // ... with those of three neighbouring column panels
constexpr Index kFours = 128;   // most fours of markers that one call multiplies
constexpr int kLargest = 4095;  // of the product of the bytes for one copy of the allele

struct GramKernels {
  // Adds to out[r * stride + c] the sum over the markers of fours x 4 of rows[r]
  // columns[c]. rows: signed bytes; columns: unsigned ones, panels `panel` bytes apart.
  using Multiply = void (*)(const std::uint8_t* rows, const std::uint8_t* columns,
                            Index panel, Index fours, std::int32_t* out, Index stride);
  Multiply multiply;
  Multiply multiply_counts;  // the same, if all bytes are 0, 1 or 2

  // Makes a panel of `width` samples, those from counts on: one[k], twice one[k] or 0, as
  // the count of marker order[k] is 1, two[k], or anything else; counts: n x ..., by
  // column; out: 16 markers bytes, where `markers` is a multiple of 4 and order[k] < 0
  // stands for none.
  void (*pack)(const std::uint8_t* counts, Index n, const Index* order,
               const std::uint8_t* one, const std::uint8_t* two, Index markers,
               Index width, std::uint8_t* out);

  // Adds to out[i], i < width, the sum over the list's markers s, in their order, of
  // table[4 s + counts[s n + i]].
  void (*look_up)(const std::uint8_t* counts, Index n, const int* list, Index length,
                  const double* table, Index width, double* out);

  // to[i] += scale * from[i], i < count. scale has so few binary digits that the product
  // is exact, which a fused multiplication and addition gives too.
  void (*accumulate)(const std::int32_t* from, double scale, Index count, double* to);
};

const GramKernels& gram_kernels(Instructions instructions);

const GramKernels& portable_kernels();
#ifdef KINLMM_X86
const GramKernels& avx2_kernels();
const GramKernels& vnni_kernels();
#endif

}  // namespace kinlmm
