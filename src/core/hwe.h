// The exact test of Hardy-Weinberg proportions.
#pragma once

#include <array>

#include "core/types.h"

namespace kinlmm {

// Given the two allele counts, the probability of a number of heterozygotes that is at
// most as likely as the one observed (Wigginton, Cutler and Abecasis 2005). genotypes:
// samples with 0, 1 and 2 copies. midp: those as likely as the one observed count half. 1
// without samples; 0 below about 1e-308.
double hwe_p(const std::array<Index, 3>& genotypes, bool midp);

}  // namespace kinlmm
