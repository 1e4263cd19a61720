#include "core/scan_profile.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/lapack.h"

namespace kinlmm {

double Panel::lambda(double x) const {
  const double at = low + (high - low) * (x + 1) / 2;
  return linear ? at : std::exp(at);
}

namespace {

// End of the linear panel: a log panel of lambda_reml's tiling if it is above.
double linear_end(double lambda_reml, double largest, double half_width) {
  if (lambda_reml <= largest) return largest;
  const double low = std::log(lambda_reml) - half_width;
  const double steps = std::ceil((low - std::log(largest)) / (2 * half_width));
  return std::exp(low - 2 * half_width * std::max(steps, 0.0));
}

// The panels that hold lambda, with the neighbour if it is near an edge.
void cover(const Tiling& tiling, double lambda, Index& first, Index& last) {
  constexpr double kNear = 0.1;  // of the panel's width
  const Index count = static_cast<Index>(tiling.panels.size());
  Index i = 0;
  while (i < count - 1 && lambda > tiling.panels[i].lambda(1)) ++i;
  const Panel& panel = tiling.panels[i];
  const double at = panel.linear ? lambda : std::log(lambda);
  const double near = kNear * (panel.high - panel.low);
  first = std::min(first, std::max<Index>(at - panel.low < near ? i - 1 : i, 0));
  last = std::max(last, std::min(panel.high - at < near ? i + 1 : i, count - 1));
}

}  // namespace

Tiling tile_range(const NullModel& null, double half_width) {
  Tiling tiling;
  // the pole at -1 / max(d) is five half-widths from this panel's centre
  const double largest = 0.5 / null.d.maxCoeff();
  const double end = linear_end(null.lambda_reml, largest, half_width);
  const double low = std::log(end), high = std::log(std::max(null.lambda_max, 2 * end));
  tiling.panels.push_back({true, 0, end});
  const Index count =
      static_cast<Index>(std::ceil((high - low) / (2 * half_width) - 1e-6));
  for (Index i = 0; i < count; ++i) {
    const double from = low + 2 * half_width * static_cast<double>(i);
    tiling.panels.push_back({false, from, i < count - 1 ? from + 2 * half_width : high});
  }

  Index first = count, last = 0;
  cover(tiling, null.lambda_reml, first, last);
  cover(tiling, null.lambda_ml, first, last);
  if (null.lambda_reml <= largest) last = std::max<Index>(last, 1);
  tiling.main_first = first;
  tiling.main_count = last - first + 1;
  return tiling;
}

NodeSet::NodeSet(const NullModel& null, std::vector<double> lambda)
    : lambda_(std::move(lambda)), p_(null.X.cols()) {
  const Index q = null.d.size(), N = size();
  W_.resize(q, N);
  C_.resize(q, N * (1 + p_));
  yPy_.resize(N);
  base_reml_.resize(N);
  base_ml_.resize(N);
  for (Index node = 0; node < N; ++node) add_node(null, node);
}

void NodeSet::add_node(const NullModel& null, Index node) {
  const double at = lambda(node);
  const Vector h = (at * null.d.array() + 1).matrix();  // q
  W_.col(node) = h.cwiseInverse();
  const auto w = W_.col(node).asDiagonal();

  const Matrix wX = w * null.X;  // q x p
  const Matrix XX = null.X.transpose() * wX + null.within.topLeftCorner(p_, p_);
  const Vector Xy = wX.transpose() * null.y + null.within.col(p_).head(p_);
  const Eigen::LLT<Matrix> llt(XX);
  if (llt.info() != Eigen::Success) throw Error("scan_rank", {{"lambda", at}});
  const Vector coef = llt.solve(Xy);
  const Vector residual = null.y - null.X * coef;  // q

  // y'Py as a sum of squares, which loses no digits when X explains most of y
  Vector contrast(p_ + 1);
  contrast << -coef, 1;
  yPy_[node] = residual.dot(w * residual) + contrast.dot(null.within * contrast);
  const double log_h = h.array().log().sum();
  const double log_xx = 2 * llt.matrixL().toDenseMatrix().diagonal().array().log().sum();
  const double log_y = std::log(yPy_[node]);
  const double p = static_cast<double>(p_);
  base_reml_[node] = log_h + log_xx + (null.n - p - 1) * log_y;
  base_ml_[node] = log_h + null.n * log_y;
  if (null.intercept.size() > 0) {
    base_ml_[node] += std::log(null.intercept.dot(w * null.intercept));
  }

  const Index column = node * (1 + p_);
  C_.col(column) = w * residual;
  C_.middleCols(column + 1, p_) = llt.matrixL().solve(wX.transpose()).transpose();
}

void NodeSet::multiply(const ConstMatrixRef& X, const ConstMatrixRef& X2, MatrixRef xHx,
                       MatrixRef products) const {
  lapack::gemm(true, false, 1, W_, X2, 0, xHx);
  lapack::gemm(true, false, 1, C_, X, 0, products);
}

void NodeSet::sums(const double* products, double* A, double* B) const {
  for (Index node = 0; node < size(); ++node, products += 1 + p_) {
    B[node] = products[0];
    for (Index k = 1; k <= p_; ++k) A[node] -= products[k] * products[k];
  }
}

double explained(double A, double B, double yPy) {
  return std::min(B * B / (A * yPy), 1 - 1e-15);
}

void reml_profile(const NodeSet& set, const double* A, const double* B, double df,
                  double* f) {
  for (Index l = 0; l < set.size(); ++l) {
    f[l] = set.base_reml()[l] + std::log(A[l]) +
           df * std::log1p(-explained(A[l], B[l], set.yPy()[l]));
  }
}

void ml_profile(const NodeSet& set, const double* A, const double* B, double n,
                double* f) {
  for (Index l = 0; l < set.size(); ++l) {
    f[l] = set.base_ml()[l] + n * std::log1p(-explained(A[l], B[l], set.yPy()[l]));
  }
}

}  // namespace kinlmm
