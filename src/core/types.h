// Aliases used by the whole core, and its notation.
//
//   n  samples (records)          X  n x p  fixed effects        d  eigenvalues
//   p  fixed effects              Z  n x q  random effects       U  eigenvectors
//   q  random effects             K  q x q  relationship         theta  variance
//   parameters m  markers                    y  n      response             tau  variance
//   ratio
#pragma once

#include <Eigen/Dense>
#include <Eigen/SparseCore>

namespace kinlmm {

using Index = Eigen::Index;
using Matrix = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;
using SparseMatrix = Eigen::SparseMatrix<double>;
using ConstMatrixRef = Eigen::Ref<const Matrix>;
using ConstVectorRef = Eigen::Ref<const Vector>;
using MatrixRef = Eigen::Ref<Matrix>;

}  // namespace kinlmm
