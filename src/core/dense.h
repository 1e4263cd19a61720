// Random terms of any structure, with or without kernels, on matrices of the order m of
// what the random effects span: H = I + sum_c psi_c V_c there, and I beside it.
#pragma once

#include <vector>

#include "core/moments.h"
#include "core/types.h"

namespace kinlmm {

struct DenseData {
  std::vector<Eigen::Map<const Matrix>> V;  // c, m x m, dH/dpsi_c
  Matrix Xy;                                // m x (p+1), [X y] in a basis of that space
  Matrix within;  // (p+1) x (p+1), cross-product of [X y] beside it
};

// In units of m^3: 1/3 for the value, 1 with the gradient or the average information,
// and 1/3 + c for the exact Hessian. Where H is not positive definite logdet is infinite
// and S zero.
Moments dense_moments(const DenseData& data, const ConstVectorRef& psi, Order order);

}  // namespace kinlmm
