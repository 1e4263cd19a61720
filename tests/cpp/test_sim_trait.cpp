#include <cmath>
#include <vector>

#include "check.h"
#include "core/sim_trait.h"
#include "genotypes.h"

using namespace kinlmm;

namespace {

Matrix genotypes() {
  Matrix G(4, 3);
  G << 0, 2, 1, 1, 2, kMissing, 2, 2, 1, kMissing, 2, 0;
  return G;
}

}  // namespace

TEST(sim_trait_moments) {
  const Matrix G = genotypes();
  Monitor monitor;
  for (Index block : {1, 2, 5}) {
    MatrixSource source(G, all(4), all(3));
    const MarkerMoments moments = marker_moments(source, block, 2, monitor);
    CHECK(moments.mean[0] == 1 && moments.variance[0] == 0.5);
    CHECK(moments.mean[1] == 2 && moments.variance[1] == 0);
    CHECK_NEAR(moments.mean[2], 2.0 / 3, 1e-15);
    CHECK_NEAR(moments.variance[2], (2.0 / 9 + 4.0 / 9) / 4, 1e-15);
  }
}

TEST(sim_trait_values) {
  const Matrix G = genotypes();
  Matrix centred(4, 3);
  centred << -1, 0, 1.0 / 3, 0, 0, 0, 1, 0, 1.0 / 3, 0, 0, -2.0 / 3;
  Matrix B(3, 2);
  B << 1, 0.5, 2, -1, 3, 4;
  Monitor monitor;
  for (Index block : {1, 2, 5}) {
    MatrixSource source(G, all(4), all(3));
    Matrix values = Matrix::Constant(4, 2, 9);
    genetic_values(source, B, block, 2, monitor, values);
    CHECK_NEAR((values - centred * B).cwiseAbs().maxCoeff(), 0, 1e-14);
  }
}
