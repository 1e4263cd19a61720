#include "check.h"
#include "core/relatives.h"

using namespace kinlmm;

namespace {

// Two pairs of sibs, 0 with 2 and 1 with 4, and 3 alone.
Matrix sibs() {
  Matrix K = Matrix::Identity(5, 5);
  K(2, 0) = K(0, 2) = 0.5;
  K(4, 1) = K(1, 4) = 0.25;
  K(3, 1) = K(1, 3) = -0.1;
  return K;
}

}  // namespace

TEST(pairs_are_summarised) {
  Vector limits(2);
  limits << 0.25, 0.3;
  const PairSummary found = summarise_pairs(sibs(), limits);
  CHECK(found.smallest == -0.1 && found.largest == 0.5);
  CHECK_NEAR(found.mean, 0.065, 1e-15);
  CHECK(found.reaching[0] == 2 && found.reaching[1] == 1);
  CHECK(summarise_pairs(Matrix::Identity(1, 1), limits).largest == 0);
  CHECK(summarise_pairs(Matrix(0, 0), limits).mean == 0);
}

TEST(relatives_and_their_families) {
  const Relatives found = find_relatives(sibs(), 0.25);
  CHECK((found.row == std::vector<int>{2, 4}));
  CHECK((found.column == std::vector<int>{0, 1}));
  CHECK((found.value == std::vector<double>{0.5, 0.25}));
  CHECK((find_families(5, found.row, found.column) == std::vector<int>{0, 1, 0, 2, 1}));
  CHECK((find_families(4, {3, 2, 3}, {2, 1, 0}) == std::vector<int>{0, 0, 0, 0}));
  CHECK(find_families(0, {}, {}).empty());
}

TEST(distances_are_those_of_correlations) {
  Matrix K = 4 * sibs();
  K(3, 3) = 0;
  std::vector<double> d(10);
  pair_distances(K, d.data());
  CHECK_NEAR(d[1], 0.5, 1e-15);
  CHECK_NEAR(d[6], 0.75, 1e-15);
  CHECK(d[2] == 1);
}

TEST(cells_are_means_without_the_diagonal) {
  const std::vector<int> order = {0, 2, 1, 4, 3};
  const Matrix K = sibs();
  const Matrix whole = cell_means(K, order, 5);
  for (Index i = 0; i < 5; ++i) {
    for (Index j = 0; j < 5; ++j) {
      CHECK(whole(i, j) ==
            K(order[static_cast<std::size_t>(i)], order[static_cast<std::size_t>(j)]));
    }
  }
  // cells of 2, 2 and 1
  const Matrix cells = cell_means(K, order, 3);
  CHECK_NEAR(cells(0, 0), 0.5, 1e-15);
  CHECK_NEAR(cells(1, 1), 0.25, 1e-15);
  CHECK_NEAR(cells(2, 1), -0.05, 1e-15);
  CHECK(cells(2, 2) == 1);
}
