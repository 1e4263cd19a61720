// Sums of products of genotypes over markers, in integers: a multiplication of bytes
// costs a small part of one of doubles.
#pragma once

#include <cstdint>
#include <vector>

#include "core/cpu.h"
#include "core/types.h"

namespace kinlmm {

// A block of markers of n samples, whole numbers (see GenotypeSource::read_counts).
struct CountBlock {
  const std::uint8_t* counts;  // n x m, by column
  Index n;
  std::vector<double> mean;    // m: z = count - mean, 0 where missing
  std::vector<double> weight;  // m, not negative
  bool precise = true;         // see add_gram()
};

// S (n x n), lower triangle: adds sum_s weight_s z_s z_s'. Weights that are all the same
// are exact. Others are replaced by sums of products of two bytes: three, which differ by
// some 1e-10 of the largest weight among the 1,024 next to it in size, or if not precise
// two, which differ by some 1e-7 and cost two thirds. The result does not depend on the
// instructions or the number of threads, bit for bit.
void add_gram(const CountBlock& block, Instructions with, int threads, MatrixRef S);

// D (n x n), lower triangle: adds sum_s weight_s o_s o_s', o = 1 where a genotype is
// observed and 0 where it is missing. mean is not looked at.
void add_observed(const CountBlock& block, Instructions with, int threads, MatrixRef D);

}  // namespace kinlmm
