// The profile likelihood of a one-kernel model with one more covariate, a marker, as a
// function of the variance ratio lambda = sigma2_g / sigma2_e.
//
// With w_i = 1 / (lambda d_i + 1), a'H^-1 b = sum w_i a_i b_i in the eigenbasis (plus
// NullModel::within among X and y), and P the projection of H^-1 on what X leaves,
//   A = x'Px,  B = x'Py,  r2 = B^2 / (A y'Py),  beta = B / A,
//   REML: f = log|H| + log|X'H^-1X| + log A + (n - p - 1) log(y'Py (1 - r2))
//   ML:   f = log|H| + log(c'H^-1 c) + n log(y'Py (1 - r2))
// The term in c, the intercept, makes ML that of the kernel centred on the ids; REML does
// not change when a kernel is centred.
#pragma once

#include <vector>

#include "core/chebyshev.h"
#include "core/types.h"

namespace kinlmm {

// The null model in the eigenbasis of S K S, S = diag(scale). Views: the caller owns.
struct NullModel {
  ConstMatrixRef U;          // q x q, eigenvectors in columns
  ConstVectorRef d;          // q, eigenvalues >= 0
  ConstVectorRef scale;      // q, sqrt of the total weight of the records of each id
  ConstMatrixRef X;          // q x p, rotated; p >= 0
  ConstVectorRef y;          // q, rotated
  ConstMatrixRef within;     // (p+1) x (p+1), cross-products of [X y] outside of the ids
  ConstVectorRef intercept;  // q, rotated unit intercept; size 0 if there is none
  double n;                  // records
  double lambda_reml;        // null optima, in [0, lambda_max]
  double lambda_ml;
  double lambda_max;  // upper bound of the search
};

// A stretch of the range of lambda, on which x in [-1, 1] is linear in lambda or in
// log lambda.
struct Panel {
  bool linear;
  double low, high;  // lambda if linear, otherwise log lambda

  double lambda(double x) const;
};

// [0, lambda_max] tiled: one linear panel up to at most 0.5 / max(d), log panels above.
struct Tiling {
  std::vector<Panel> panels;  // increasing, adjacent
  Index main_first = 0;       // the panels around the null's optima
  Index main_count = 0;
};

// lambda_reml is the centre of its panel if that is a log one. max(d) must be positive.
Tiling tile_range(const NullModel& null, double half_width);

// What every marker shares at some values of lambda, and the sums that it does not share.
class NodeSet {
 public:
  // Throws Error "scan_rank" if X'H^-1X is singular.
  NodeSet(const NullModel& null, std::vector<double> lambda);

  Index size() const { return static_cast<Index>(lambda_.size()); }
  double lambda(Index node) const { return lambda_[static_cast<std::size_t>(node)]; }
  const Vector& yPy() const { return yPy_; }              // size()
  const Vector& base_reml() const { return base_reml_; }  // f without the marker's terms
  const Vector& base_ml() const { return base_ml_; }

  // Of b rotated markers X (q x b) with squares X2: xHx (size() x b) is x'H^-1 x, and
  // products (product_rows() x b) what sums() needs to go on from there.
  void multiply(const ConstMatrixRef& X, const ConstMatrixRef& X2, MatrixRef xHx,
                MatrixRef products) const;
  Index product_rows() const { return C_.cols(); }

  // A and B of one marker at all nodes, from its columns of multiply(): A holds x'H^-1 x
  // on entry.
  void sums(const double* products, double* A, double* B) const;

 private:
  void add_node(const NullModel& null, Index node);

  std::vector<double> lambda_;
  Index p_;
  Matrix W_;  // q x size(), the w of each node
  // q x size()(1 + p): per node w * (residual of y), then w * X L^-T with L L' = X'H^-1X,
  // so that the squares of the latter's products with x are what X takes from x'H^-1 x.
  Matrix C_;
  Vector yPy_, base_reml_, base_ml_;
};

// r2 = B^2 / (A y'Py), kept off one, where the logarithm ends.
double explained(double A, double B, double yPy);

// f of one marker at all nodes of a set, from its A and B; n as in NullModel, df = n - p
// - 1.
void reml_profile(const NodeSet& set, const double* A, const double* B, double df,
                  double* f);
void ml_profile(const NodeSet& set, const double* A, const double* B, double n,
                double* f);

}  // namespace kinlmm
