#include <cstdlib>
#include <vector>

#include "check.h"
#include "core/level_sums.h"

using namespace kinlmm;

TEST(level_sums_split_the_crossproduct) {
  std::srand(3);
  const Index n = 1100;
  const Matrix Xy = Matrix::Random(n, 3);
  Vector z = Vector::Random(n);
  std::vector<int> code;
  for (Index i = 0; i < n; ++i) code.push_back(static_cast<int>(i % 7) + 1);
  // z is zero throughout the third level
  for (Index i = 2; i < n; i += 7) z[i] = 0;
  const LevelSums levels = level_sums(Xy, z, code.data(), 7);
  CHECK_NEAR(levels.d[2], 0, 0);
  CHECK_NEAR(levels.sums.row(2).norm(), 0, 0);
  CHECK_NEAR(levels.d.sum(), z.squaredNorm(), 1e-10);
  const Matrix whole = levels.within + levels.sums.transpose() * levels.sums;
  CHECK_NEAR((whole - Xy.transpose() * Xy).norm(), 0, 1e-10);
  double first = 0;
  for (Index i = 0; i < n; i += 7) first += z[i] * Xy(i, 1);
  CHECK_NEAR(levels.sums(0, 1), first / std::sqrt(levels.d[0]), 1e-12);
}

TEST(merged_levels_keep_count_and_crossproduct_of_each_class) {
  std::srand(4);
  Vector d(9);
  d << 2, 5, 2, 3, 2, 5, 2, 2, 9;
  Matrix sums = Matrix::Random(9, 3);
  sums.col(2) = sums.col(0) - sums.col(1);
  const MergedLevels merged = merge_levels(d, sums);
  CHECK(merged.d.size() == 3 + 1 + 2 + 1);
  CHECK_NEAR(merged.count.sum(), 9, 0);
  for (double size : {2.0, 3.0, 5.0, 9.0}) {
    const Vector before = (d.array() == size).select(Vector::Ones(9), 0);
    const Vector after =
        (merged.d.array() == size).select(Vector::Ones(merged.d.size()), 0);
    CHECK_NEAR(merged.count.dot(after), before.sum(), 0);
    const Matrix difference = sums.transpose() * before.asDiagonal() * sums -
                              merged.sums.transpose() * after.asDiagonal() * merged.sums;
    CHECK_NEAR(difference.norm(), 0, 1e-13);
  }
}
