#include "core/dense.h"

#include <Eigen/Cholesky>
#include <limits>

#include "core/lapack.h"

namespace kinlmm {

namespace {

std::size_t at(Index c) {
  return static_cast<std::size_t>(c);
}

// Lower triangle of H.
Matrix covariance_of(const DenseData& data, const ConstVectorRef& psi) {
  const Index m = data.Xy.rows();
  Matrix H(m, m);
  for (Index j = 0; j < m; ++j) {
    const Index below = m - j;
    auto column = H.col(j).tail(below);
    column.setZero();
    for (Index c = 0; c < psi.size(); ++c) {
      if (psi[c] != 0) column += psi[c] * data.V[at(c)].col(j).tail(below);
    }
    column[0] += 1;
  }
  return H;
}

// tr(AB) of symmetric matrices by their lower triangles.
double trace_of(const ConstMatrixRef& A, const ConstMatrixRef& B) {
  double sum = 0;
  for (Index j = 0; j < A.cols(); ++j) {
    const Index below = A.rows() - j - 1;
    sum += A(j, j) * B(j, j) + 2 * A.col(j).tail(below).dot(B.col(j).tail(below));
  }
  return sum;
}

// A B for a symmetric A, lower triangle read.
Matrix product(const ConstMatrixRef& A, const Matrix& B) {
  Matrix out = Matrix::Zero(B.rows(), B.cols());
  lapack::symm(A, B, out);
  return out;
}

// y'P V_c P V_d P y: with e = Py, the products of V_c e, of which X takes its part.
Matrix average_information(const DenseData& data, const Matrix& L, const Matrix& HiXy,
                           const Matrix& S) {
  const Index p = S.rows() - 1, count = static_cast<Index>(data.V.size());
  const Eigen::LLT<Matrix> inner(S.topLeftCorner(p, p));
  Vector e = HiXy.col(p);
  if (p > 0) e -= HiXy.leftCols(p) * inner.solve(S.col(p).head(p));
  Matrix F(e.size(), count);
  for (Index c = 0; c < count; ++c) F.col(c) = product(data.V[at(c)], e);
  Matrix through = HiXy.leftCols(p).transpose() * F;
  lapack::solve_lower(false, L, F);
  Matrix out = F.transpose() * F;
  if (p > 0) out -= through.transpose() * inner.solve(through);
  return out;
}

// First and second derivatives, from C_c = L^-1 V_c L^-T and Y = L^-1[X y].
void exact_derivatives(const DenseData& data, const Matrix& L, const Matrix& Y,
                       Moments& out) {
  const Index count = static_cast<Index>(data.V.size());
  std::vector<Matrix> C, CY;
  for (const auto& V : data.V) {
    C.push_back(V);
    lapack::congruence(L, C.back());
    CY.push_back(product(C.back(), Y));
  }
  out.traces.resize(count, count);
  out.WW.resize(at(count * count));
  for (Index c = 0; c < count; ++c) {
    out.trace[c] = C[at(c)].trace();
    out.W.push_back(Y.transpose() * CY[at(c)]);
    for (Index d = 0; d <= c; ++d) {
      out.traces(c, d) = out.traces(d, c) = trace_of(C[at(c)], C[at(d)]);
      const Matrix WW = CY[at(c)].transpose() * CY[at(d)];
      out.WW[at(c * count + d)] = WW;
      out.WW[at(d * count + c)] = WW.transpose();
    }
  }
}

}  // namespace

Moments dense_moments(const DenseData& data, const ConstVectorRef& psi, Order order) {
  const Index count = static_cast<Index>(data.V.size());
  Moments out;
  out.trace = Vector::Zero(count);
  Matrix L = covariance_of(data, psi);
  if (!lapack::cholesky(L)) {
    out.logdet = std::numeric_limits<double>::infinity();
    out.S = Matrix::Zero(data.within.rows(), data.within.cols());
    return out;
  }
  out.logdet = 2 * L.diagonal().array().log().sum();
  Matrix Y = data.Xy;
  lapack::solve_lower(false, L, Y);
  out.S = data.within + Y.transpose() * Y;
  if (order == Order::value) return out;
  if (order == Order::exact) {
    exact_derivatives(data, L, Y, out);
    return out;
  }
  lapack::solve_lower(true, L, Y);  // now H^-1[X y]
  for (const auto& V : data.V) out.W.push_back(Y.transpose() * product(V, Y));
  if (order == Order::average) out.average = average_information(data, L, Y, out.S);
  lapack::cholesky_inverse(L);
  for (Index c = 0; c < count; ++c) out.trace[c] = trace_of(L, data.V[at(c)]);
  return out;
}

}  // namespace kinlmm
