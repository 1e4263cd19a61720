// The criterion by its textbook formula, for the tests of both engines.
#pragma once

#include <Eigen/Dense>
#include <cmath>

#include "core/types.h"

// -2 log-likelihood (or REML) of y ~ N(X b, sigma2 H), b and sigma2 profiled.
inline double dense_criterion(const kinlmm::Matrix& X, const kinlmm::Vector& y,
                              const kinlmm::Matrix& H, bool reml) {
  using kinlmm::Matrix;
  using kinlmm::Vector;
  const Eigen::LLT<Matrix> llt(H);
  const Matrix HiX = llt.solve(X);
  const Eigen::LLT<Matrix> inner(X.transpose() * HiX);
  const Vector b = inner.solve(HiX.transpose() * y);
  const Vector residual = y - X * b;
  const double s = residual.dot(llt.solve(residual));
  const double dof = static_cast<double>(reml ? y.size() - X.cols() : y.size());
  const Matrix L = llt.matrixL(), R = inner.matrixL();
  return 2 * L.diagonal().array().log().sum() +
         (reml ? 2 * R.diagonal().array().log().sum() : 0) +
         dof * (1 + std::log(2 * M_PI * s / dof));
}
