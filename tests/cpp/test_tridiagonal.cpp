#include <Eigen/Eigenvalues>
#include <cstdlib>

#include "check.h"
#include "core/rotated.h"
#include "core/tridiagonal.h"

using namespace kinlmm;

namespace {

struct Example {
  Tridiagonal T;
  Matrix full;
  Example() {
    std::srand(9);
    const Index m = 30;
    T.diagonal = Vector::Random(m).array() + 2.5;
    T.beside = Vector::Random(m - 1);
    full = T.diagonal.asDiagonal();
    full.diagonal(1) = full.diagonal(-1) = T.beside;
  }
};

double distance(const Matrix& A, const Matrix& B) {
  return (A - B).cwiseAbs().maxCoeff();
}

}  // namespace

TEST(tridiagonal_eigenvalues_are_counted) {
  const Example e;
  const Vector d = Eigen::SelfAdjointEigenSolver<Matrix>(e.full).eigenvalues();
  CHECK_NEAR(largest_eigenvalue(e.T), d.maxCoeff(), 1e-5);
  for (Index i = 0; i < d.size(); ++i) {
    CHECK(eigenvalues_below(e.T, d[i] - 1e-9) == i);
    CHECK(eigenvalues_below(e.T, d[i] + 1e-9) == i + 1);
  }
  const Tridiagonal zero{Vector::Zero(4), Vector::Zero(3)};
  CHECK_NEAR(largest_eigenvalue(zero), 0, 0);
  CHECK(eigenvalues_below(zero, -1) == 0);
}

TEST(tridiagonal_factor_solves) {
  const Example e;
  const Matrix B = Matrix::Random(30, 3);
  CHECK_NEAR(distance(product(e.T, B), e.full * B), 0, 1e-14);
  for (double tau : {0.0, 0.3, 50.0}) {
    const TridiagonalFactor factor(e.T, tau);
    const Matrix half = factor.half(B), HiB = factor.back(half);
    CHECK_NEAR(distance(HiB + tau * e.full * HiB, B), 0, 1e-12);
    CHECK_NEAR(distance(half.transpose() * half, B.transpose() * HiB), 0, 1e-13);
  }
  CHECK(!TridiagonalFactor(e.T, -1).positive());
}

TEST(tridiagonal_moments_are_those_of_the_eigenbasis) {
  const Example e;
  const Eigen::SelfAdjointEigenSolver<Matrix> eigen(e.full);
  RotatedData by_tridiagonal, by_spectrum;
  by_tridiagonal.d = e.T.diagonal;
  by_tridiagonal.beside = e.T.beside;
  by_tridiagonal.Xy = Matrix::Random(30, 3);
  by_tridiagonal.intercept = Vector::Random(30).normalized();
  by_tridiagonal.within = Matrix::Identity(3, 3);
  by_spectrum = by_tridiagonal;
  by_spectrum.beside.resize(0);
  by_spectrum.d = eigen.eigenvalues();
  by_spectrum.Xy = eigen.eigenvectors().transpose() * by_tridiagonal.Xy;
  by_spectrum.intercept = eigen.eigenvectors().transpose() * by_tridiagonal.intercept;
  for (double tau : {0.0, 0.01, 1.0, 1e4}) {
    const RatioMoments a = rotated_moments(by_tridiagonal, tau);
    const RatioMoments b = rotated_moments(by_spectrum, tau);
    CHECK_NEAR(a.logdet, b.logdet, 1e-12);
    CHECK_NEAR(a.logdet1, b.logdet1, 1e-12);
    CHECK_NEAR(a.logdet2, b.logdet2, 1e-12);
    CHECK_NEAR(distance(a.S, b.S), 0, 1e-13);
    CHECK_NEAR(distance(a.S1, b.S1), 0, 1e-13);
    CHECK_NEAR(distance(a.S2, b.S2), 0, 1e-12);
    const Matrix B = Matrix::Random(30, 2);
    CHECK_NEAR(distance(rotated_solve(by_tridiagonal, tau, B),
                        (Matrix::Identity(30, 30) + tau * e.full).llt().solve(B)),
               0, 1e-12);
  }
}
