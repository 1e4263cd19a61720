// Sums of products of genotypes over markers, in integers.
#pragma once

#include <cstdint>
#include <vector>

#include "core/types.h"

namespace kinlmm {

// Instructions that products are computed with. All give the same result, bit for bit.
enum class Instructions { automatic, portable, avx2, vnni };

// A block of markers of n samples, whole numbers (see GenotypeSource::read_counts).
struct CountBlock {
  const std::uint8_t* counts;  // n x m, by column
  Index n;
  std::vector<double> mean;    // m: z = count - mean, 0 where missing
  std::vector<double> weight;  // m, not negative
};

// S (n x n), lower triangle: adds sum_s weight_s z_s z_s'. Weights that are all the same
// are exact; others are to about 1e-7 of the largest in the block.
void add_gram(const CountBlock& block, Instructions with, int threads, MatrixRef S);

// D (n x n), lower triangle: adds sum_s weight_s o_s o_s', o = 1 where a genotype is
// observed and 0 where it is missing. mean is not looked at.
void add_observed(const CountBlock& block, Instructions with, int threads, MatrixRef D);

}  // namespace kinlmm
