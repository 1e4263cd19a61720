#include <cmath>
#include <vector>

#include "check.h"
#include "core/pedigree.h"
#include "core/random.h"

using namespace kinlmm;

namespace {

// Parents among the `span` animals before; even ones are male. `shuffle`: stored in
// another order.
Pedigree overlapping(int n, int span, std::uint64_t seed, bool shuffle, int every = 2) {
  Random random(seed);
  std::vector<int> place(static_cast<std::size_t>(n));
  for (int i = 0; i < n; ++i) place[i] = i;
  if (shuffle) {
    for (int i = n - 1; i > 0; --i) {
      std::swap(place[i], place[random.below(i + 1)]);
    }
  }
  Pedigree ped;
  ped.sire.assign(static_cast<std::size_t>(n), -1);
  ped.dam = ped.sire;
  for (int i = 0; i < n; ++i) {
    const int sire = (i - 1 - static_cast<int>(random.below(span))) / every * every;
    const int dam = (i - 2 - static_cast<int>(random.below(span))) / 2 * 2 + 1;
    if (sire >= 0 && sire < i && random.bernoulli(0.95)) ped.sire[place[i]] = place[sire];
    if (dam >= 0 && dam < i && random.bernoulli(0.95)) ped.dam[place[i]] = place[dam];
  }
  return ped;
}

// A = T D T' by paths: row i of T is e_i plus the mean of those of the parents, and D
// follows from A_ii, one animal after the other.
Matrix by_definition(const Pedigree& ped, const std::vector<int>& order) {
  const Index n = ped.size();
  Matrix T = Matrix::Identity(n, n);
  Vector D = Vector::Ones(n);
  const auto A = [&](int i, int j) {
    return T.row(i).dot(D.cwiseProduct(T.row(j).transpose()));
  };
  for (int i : order) {
    const int sire = ped.sire[i], dam = ped.dam[i];
    if (sire >= 0) T.row(i) += 0.5 * T.row(sire);
    if (dam >= 0) T.row(i) += 0.5 * T.row(dam);
    if (sire >= 0) D[i] -= 0.25 * A(sire, sire);
    if (dam >= 0) D[i] -= 0.25 * A(dam, dam);
  }
  return T * D.asDiagonal() * T.transpose();
}

Vector F_of(const Pedigree& ped, const std::vector<int>& order, int threads) {
  Monitor monitor;
  return inbreeding(ped, order, threads, monitor);
}

}  // namespace

TEST(pedigree_order_puts_parents_first) {
  const Pedigree ped = overlapping(300, 30, 1, true);
  const std::vector<int> order = pedigree_order(ped);
  std::vector<int> at(order.size(), -1);
  for (std::size_t k = 0; k < order.size(); ++k) at[order[k]] = static_cast<int>(k);
  for (int i = 0; i < 300; ++i) {
    CHECK(at[i] >= 0);
    if (ped.sire[i] >= 0) CHECK(at[ped.sire[i]] < at[i]);
    if (ped.dam[i] >= 0) CHECK(at[ped.dam[i]] < at[i]);
  }
}

TEST(pedigree_relationship_inbreeding_and_inverse) {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    for (int span : {4, 15, 60}) {
      // many sires, or few that live long
      const Pedigree ped = overlapping(200, span, seed, seed % 2 == 0, seed > 4 ? 16 : 2);
      const std::vector<int> order = pedigree_order(ped);
      const Matrix expected = by_definition(ped, order);
      const double most = expected.maxCoeff();
      CHECK(most > 1.05);
      Matrix A(200, 200);
      numerator_relationship(ped, order, A);
      CHECK_NEAR((A - expected).cwiseAbs().maxCoeff(), 0, 1e-12);
      const Vector F = F_of(ped, order, 1 + static_cast<int>(seed) % 3);
      CHECK_NEAR((F - (A.diagonal().array() - 1).matrix()).cwiseAbs().maxCoeff(), 0,
                 1e-12);
      const SparseUpper Q = inverse_relationship(ped, mendelian_variances(ped, F));
      Matrix dense = Matrix::Zero(200, 200);
      for (int j = 0; j < 200; ++j) {
        for (int k = Q.start[j]; k < Q.start[j + 1]; ++k) {
          CHECK(Q.row[k] <= j && (k == Q.start[j] || Q.row[k] > Q.row[k - 1]));
          dense(Q.row[k], j) = dense(j, Q.row[k]) = Q.value[k];
        }
      }
      CHECK_NEAR((dense * A - Matrix::Identity(200, 200)).cwiseAbs().maxCoeff(), 0, 1e-9);
    }
  }
}

TEST(pedigree_inbreeding_of_brother_and_sister) {
  // a x b: c, d; c x d: e
  const Pedigree ped = {{-1, -1, 0, 0, 2}, {-1, -1, 1, 1, 3}};
  const Vector F = F_of(ped, pedigree_order(ped), 2);
  CHECK(F.head(4).isZero() && F[4] == 0.25);
  const Vector D = mendelian_variances(ped, F);
  CHECK(D[0] == 1 && D[2] == 0.5 && D[4] == 0.5);
}

TEST(pedigree_drop_is_T) {
  const Pedigree ped = overlapping(60, 10, 3, true);
  const std::vector<int> order = pedigree_order(ped);
  const Vector D = mendelian_variances(ped, F_of(ped, order, 1));
  Matrix u = D.cwiseSqrt().asDiagonal();
  drop_values(ped, order, u);
  CHECK_NEAR((u * u.transpose() - by_definition(ped, order)).cwiseAbs().maxCoeff(), 0,
             1e-12);
}

TEST(pedigree_block_is_that_of_A) {
  for (bool shuffle : {false, true}) {
    const Pedigree ped = overlapping(200, 15, 7, shuffle);
    const std::vector<int> order = pedigree_order(ped);
    const Vector D = mendelian_variances(ped, F_of(ped, order, 1));
    const Matrix A = by_definition(ped, order);
    for (int m : {0, 1, 8, 61}) {
      std::vector<int> rows;
      for (int k = 0; k < m; ++k) rows.push_back((37 * k + 11) % 200);
      for (int threads : {1, 3}) {
        Monitor monitor;
        Matrix block = Matrix::Constant(m, m, NAN);
        relationship_block(ped, order, D, rows, threads, monitor, block);
        for (int i = 0; i < m; ++i) {
          for (int j = 0; j < m; ++j) {
            CHECK_NEAR(block(i, j), A(rows[i], rows[j]), 1e-13);
          }
        }
      }
    }
  }
}

TEST(pedigree_selfing) {
  // a x b: c; c selfed: d; d selfed: e; c x e: f
  const Pedigree ped = {{-1, -1, 0, 2, 3, 2}, {-1, -1, 1, 2, 3, 4}};
  const std::vector<int> order = pedigree_order(ped);
  const Vector F = F_of(ped, order, 1);
  CHECK(F[2] == 0 && F[3] == 0.5 && F[4] == 0.75);
  Matrix A(6, 6);
  numerator_relationship(ped, order, A);
  CHECK_NEAR((F - (A.diagonal().array() - 1).matrix()).norm(), 0, 1e-14);
  const SparseUpper Q = inverse_relationship(ped, mendelian_variances(ped, F));
  Matrix dense = Matrix::Zero(6, 6);
  for (int j = 0; j < 6; ++j) {
    for (int k = Q.start[j]; k < Q.start[j + 1]; ++k) {
      dense(Q.row[k], j) = dense(j, Q.row[k]) = Q.value[k];
    }
  }
  CHECK_NEAR((dense * A - Matrix::Identity(6, 6)).norm(), 0, 1e-12);
}

TEST(pedigree_dominance_of_relatives) {
  // 0 x 1: 2, 3 (full sibs); 4 x 5: 6, 7; 2 x 6: 8; 3 x 7: 9 (double first cousins); 2 x
  // ?: 10
  const Pedigree ped = {{-1, -1, 0, 0, -1, -1, 4, 4, 2, 3, 2},
                        {-1, -1, 1, 1, -1, -1, 5, 5, 6, 7, -1}};
  Matrix A(11, 11), D(11, 11);
  numerator_relationship(ped, pedigree_order(ped), A);
  dominance_relationship(ped, A, D);
  CHECK(D(2, 3) == 0.25 && D(8, 9) == 0.0625 && D(2, 6) == 0 && D(8, 10) == 0);
  CHECK((D.diagonal().array() == 1).all() && D == D.transpose());
}

TEST(pedigree_loops_are_found) {
  // 1 <- 2 <- 3 <- 1; 0 and 4 are outside, 4 a descendant
  const Pedigree ped = {{-1, 2, 3, 1, 1}, {-1, 0, -1, -1, 0}};
  try {
    pedigree_order(ped);
    CHECK(false);
  } catch (const Error& e) {
    CHECK(e.kind() == "pedigree_loop");
    CHECK(e.data().size() == 4 && e.data().front().second == e.data().back().second);
    for (std::size_t k = 0; k + 1 < e.data().size(); ++k) {
      const auto child = static_cast<std::size_t>(e.data()[k].second);
      CHECK(ped.sire[child] == static_cast<int>(e.data()[k + 1].second));
    }
  }
  CHECK_THROWS_KIND(pedigree_order(Pedigree{{0}, {-1}}), "pedigree_loop");
}

TEST(pedigree_may_be_empty) {
  const Pedigree ped;
  const std::vector<int> order = pedigree_order(ped);
  CHECK(order.empty() && F_of(ped, order, 2).size() == 0);
  CHECK(inverse_relationship(ped, Vector()).start.size() == 1);
}
