#include <cmath>
#include <random>

#include "check.h"
#include "core/genotypes.h"
#include "core/gram.h"
#include "reference.h"

using namespace kinlmm;

namespace {

struct Case {
  std::vector<std::uint8_t> counts;
  CountBlock block;
};

// Genotypes of n samples at m markers, a share of them missing; equal: weights of 1.
Case make_case(Index n, Index m, double missing, bool equal, unsigned seed) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<double> uniform(0, 1);
  Case out;
  for (Index s = 0; s < m; ++s) {
    const double f = 0.02 + 0.96 * uniform(generator);
    double sum = 0, observed = 0;
    for (Index i = 0; i < n; ++i) {
      int x = (uniform(generator) < f) + (uniform(generator) < f);
      if (uniform(generator) < missing) {
        x = kMissingCount;
      } else {
        sum += x;
        observed += 1;
      }
      out.counts.push_back(static_cast<std::uint8_t>(x));
    }
    out.block.mean.push_back(observed > 0 ? sum / observed : 0);
    out.block.weight.push_back(equal ? 0.7 : 1 / (2 * f * (1 - f)));
  }
  out.block.counts = out.counts.data();
  out.block.n = n;
  return out;
}

// Both sums from their definitions: with observed, 1 stands for z.
Matrix dense(const Case& at, bool observed) {
  const Index n = at.block.n, m = static_cast<Index>(at.block.weight.size());
  Matrix Z(n, m);
  for (Index s = 0; s < m; ++s) {
    for (Index i = 0; i < n; ++i) {
      const int x = at.counts[s * n + i];
      const double z = observed ? 1 : x - at.block.mean[s];
      Z(i, s) = x == kMissingCount ? 0 : z * std::sqrt(at.block.weight[s]);
    }
  }
  return Z * Z.transpose();
}

double worst_below(const Matrix& A, const Matrix& B) {
  double worst = 0;
  for (Index j = 0; j < A.cols(); ++j) {
    for (Index i = j; i < A.rows(); ++i)
      worst = std::max(worst, std::abs(A(i, j) - B(i, j)));
  }
  return worst;
}

const std::vector<std::pair<Index, Index>> sizes = {
    {1, 1}, {1, 9}, {7, 3}, {16, 4}, {49, 130}, {50, 1100}, {193, 515}, {400, 700}};

}  // namespace

TEST(gram_of_equal_weights_is_the_dense_one) {
  for (const auto& size : sizes) {
    for (const double missing : {0.0, 0.02, 0.5, 1.0}) {
      const Case at = make_case(size.first, size.second, missing, true, 1);
      Matrix S = Matrix::Constant(size.first, size.first, 3);
      add_gram(at.block, Instructions::portable, 2, S);
      CHECK(worst_below(S, dense(at, false).array() + 3) < 1e-12 * double(size.second));
    }
  }
}

TEST(gram_of_weights_is_the_dense_one_to_their_precision) {
  for (const auto& size : sizes) {
    for (const double missing : {0.0, 0.02, 0.5}) {
      Case at = make_case(size.first, size.second, missing, false, 2);
      const Matrix expected = dense(at, false);
      const double largest = 1 + expected.cwiseAbs().maxCoeff();
      for (const bool precise : {true, false}) {
        at.block.precise = precise;
        Matrix S = Matrix::Zero(size.first, size.first);
        add_gram(at.block, Instructions::portable, 1, S);
        CHECK(worst_below(S, expected) < (precise ? 1e-9 : 2e-6) * largest);
      }
    }
  }
}

TEST(gram_of_a_zero_weight_is_without_the_marker) {
  Case at = make_case(30, 8, 0.1, true, 3);
  at.block.weight = {0, 2, 0, 1, 5, 0, 0, 3};
  Matrix S = Matrix::Zero(30, 30);
  add_gram(at.block, Instructions::portable, 1, S);
  CHECK(worst_below(S, dense(at, false)) < 1e-7);
  at.block.weight.assign(8, 0);
  S.setZero();
  add_gram(at.block, Instructions::portable, 1, S);
  CHECK(S.cwiseAbs().maxCoeff() == 0);
}

TEST(observed_pairs_are_counted) {
  for (const auto& size : sizes) {
    Case at = make_case(size.first, size.second, 0.1, false, 4);
    Matrix D = Matrix::Zero(size.first, size.first);
    add_observed(at.block, Instructions::portable, 2, D);
    const Matrix expected = dense(at, true);
    CHECK(worst_below(D, expected) < 1e-12 * expected.cwiseAbs().maxCoeff());
    at.block.weight.assign(at.block.weight.size(), 1);
    D.setZero();
    add_observed(at.block, Instructions::portable, 2, D);
    CHECK(worst_below(D, dense(at, true)) < 1e-10);
  }
}

TEST(instructions_and_threads_do_not_change_a_bit) {
  for (const Instructions with : available_instructions()) {
    for (const auto& size : sizes) {
      for (const int kind : {0, 1, 2}) {
        Case at = make_case(size.first, size.second, 0.03, kind == 0, 5);
        at.block.precise = kind == 1;
        Matrix S = Matrix::Zero(size.first, size.first), T = S, D = S, E = S;
        add_gram(at.block, Instructions::portable, 1, S);
        add_gram(at.block, with, 2, T);
        CHECK((S.array() == T.array()).all());
        add_observed(at.block, Instructions::portable, 1, D);
        add_observed(at.block, with, 2, E);
        CHECK((D.array() == E.array()).all());
      }
    }
  }
}

TEST(instructions_have_names) {
  for (const Instructions one : available_instructions()) {
    CHECK(as_instructions(name_of(one)) == one);
  }
  CHECK(as_instructions("automatic") == available_instructions().back());
  CHECK_THROWS_KIND(as_instructions("abacus"), "cpu_instructions");
}
