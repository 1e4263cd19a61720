#include "core/gram.h"

#include <cmath>

#include "core/lapack.h"

namespace kinlmm {

namespace {

template <class Value>
void add_products(const CountBlock& block, MatrixRef S, Value&& value) {
  const Index m = static_cast<Index>(block.weight.size());
  Matrix Z(block.n, m);
  for (Index s = 0; s < m; ++s) {
    for (Index i = 0; i < block.n; ++i) {
      Z(i, s) = std::sqrt(block.weight[s]) * value(block.counts[s * block.n + i], s);
    }
  }
  lapack::syrk(1, Z, 1, S);
}

}  // namespace

void add_gram(const CountBlock& block, Instructions /* with */, int /* threads */,
              MatrixRef S) {
  add_products(block, S, [&](std::uint8_t count, Index s) {
    return count == 3 ? 0 : count - block.mean[s];
  });
}

void add_observed(const CountBlock& block, Instructions /* with */, int /* threads */,
                  MatrixRef D) {
  add_products(block, D, [](std::uint8_t count, Index) { return count == 3 ? 0. : 1.; });
}

}  // namespace kinlmm
