#include <Eigen/Cholesky>

#include "check.h"
#include "core/random.h"
#include "core/sparse_cholesky.h"

using namespace kinlmm;

namespace {

// Positive definite: animals with two parents among the `reach` before them, and every
// hundredth beside everyone.
SparseMatrix pedigree_like(int n, int reach, Random& random) {
  std::vector<Eigen::Triplet<double>> entries;
  for (int i = 0; i < n; ++i) {
    entries.emplace_back(i, i, 2 + random.uniform());
    if (i == 0) continue;
    for (int parent = 0; parent < 2; ++parent) {
      const int j = std::max(0, i - 1 - static_cast<int>(random.uniform() * reach));
      entries.emplace_back(i, j, -0.4);
      entries.emplace_back(j, j, 1);
    }
  }
  SparseMatrix out(n, n);
  out.setFromTriplets(entries.begin(), entries.end());
  return out;
}

Matrix dense(const SparseMatrix& lower) {
  return Matrix(lower).selfadjointView<Eigen::Lower>();
}

}  // namespace

TEST(sparse_cholesky_is_the_dense_one) {
  Random random(3);
  for (int n : {1, 2, 7, 60, 400}) {
    for (int reach : {1, 5, 400}) {
      const SparseMatrix lower = pedigree_like(n, reach, random);
      const Matrix A = dense(lower), inverse = A.inverse();
      SparseCholesky sparse(lower);
      CHECK(sparse.factor(lower.valuePtr()));
      const Matrix L = A.llt().matrixL();
      CHECK_NEAR(sparse.logdet(), 2 * L.diagonal().array().log().sum(), 1e-10);
      CHECK(sparse.weakest_pivot() > 0.01 && sparse.weakest_pivot() <= 1);
      Matrix B(n, 3);
      for (Index i = 0; i < B.size(); ++i) B.data()[i] = random.uniform() - 0.5;
      CHECK_NEAR((sparse.solve(B) - inverse * B).cwiseAbs().maxCoeff(), 0, 1e-12);
      CHECK_NEAR((sparse.solve(B.col(0)) - inverse * B.col(0)).cwiseAbs().maxCoeff(), 0,
                 1e-12);
      const Matrix half = sparse.half(B);
      CHECK_NEAR((half.transpose() * half - B.transpose() * inverse * B).norm(), 0,
                 1e-11);
      sparse.invert();
      std::size_t e = 0;
      for (Index j = 0; j < n; ++j) {
        for (SparseMatrix::InnerIterator it(lower, j); it; ++it) {
          double at = 0;
          CHECK(sparse.inverse_at(j, it.row(), at));
          CHECK_NEAR(at, inverse(it.row(), j), 1e-12);
          CHECK_NEAR(sparse.inverse(e++), at, 0);
        }
      }
    }
  }
}

TEST(sparse_cholesky_of_separate_blocks_has_no_elements_between_them) {
  SparseMatrix lower(4, 4);
  lower.setIdentity();
  lower.coeffRef(1, 0) = 0.5;
  lower.makeCompressed();
  SparseCholesky sparse(lower);
  CHECK(sparse.factor(lower.valuePtr()));
  sparse.invert();
  double at = 0;
  CHECK(sparse.inverse_at(0, 1, at));
  CHECK_NEAR(at, -0.5 / 0.75, 1e-15);
  CHECK(!sparse.inverse_at(0, 3, at));
}

TEST(sparse_cholesky_knows_what_is_not_positive_definite) {
  Random random(4);
  for (int n : {3, 50, 300}) {
    SparseMatrix lower = pedigree_like(n, n, random);
    SparseCholesky sparse(lower);
    lower.coeffRef(n / 2, n / 2) = -1;
    CHECK(!sparse.factor(lower.valuePtr()));
    lower.coeffRef(n / 2, n / 2) = std::nan("");
    CHECK(!sparse.factor(lower.valuePtr()));
    lower.coeffRef(n / 2, n / 2) = 3;
    CHECK(sparse.factor(lower.valuePtr()));
  }
}
