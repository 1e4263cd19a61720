#include "core/refit.h"

#include <cmath>

#include "core/parallel.h"

namespace kinlmm {

namespace {

// The last columns of the cross-products, for the response r.
void replace_response(const std::vector<FactorRows>& rows, const Vector& r,
                      BlockedData& data) {
  const Index width = data.p + 1, last = data.p;
  Index offset = 0;
  for (std::size_t f = 0; f < rows.size(); ++f) {
    const Index k = data.factors[f].k;
    Matrix sums = Matrix::Zero(k, data.factors[f].q);
    for (Index i = 0; i < r.size(); ++i) {
      const Index j = rows[f].level[static_cast<std::size_t>(i)];
      for (Index a = 0; a < k; ++a) sums(a, j) += rows[f].Z(i, a) * r(i);
    }
    if (f == 0) {
      for (Index j = 0; j < sums.cols(); ++j) data.B.col(j * width + last) = sums.col(j);
    } else {
      data.rest_Xy.col(last).segment(offset, sums.size()) =
          Eigen::Map<const Vector>(sums.data(), sums.size());
      offset += sums.size();
    }
  }
  data.C.row(last).setZero();
  data.C.col(last).setZero();
  data.C(last, last) = r.squaredNorm();
}

Refit refit_one(const BlockedData& data, const Vector& of_Q,
                const OptimiseSettings& settings, const Vector& start) {
  Blocked engine(data);
  const MomentsAt moments = [&](const Vector& theta, Order order) {
    return engine.moments(theta, order);
  };
  OptimiseSettings own = settings;
  own.order = engine.exact_is_cheap() ? Order::exact : Order::average;
  Optimum fit = optimise(moments, data.n, engine.covariance(), own, {start});
  // near a boundary there may be another optimum
  if (fit.singular || !fit.converged) {
    std::vector<Vector> starts = engine.starts();
    starts.push_back(start);
    fit = optimise(moments, data.n, engine.covariance(), own, starts);
  }
  const ProfiledFixed fixed = profiled_fixed(engine.moments(fit.theta, Order::value).S);
  Refit out;
  out.theta = fit.theta;
  out.beta = of_Q + fixed.beta;
  out.unscaled = fixed.unscaled;
  out.criterion = fit.at.value;
  out.sigma =
      std::sqrt(fixed.s / static_cast<double>(settings.reml ? data.n - data.p : data.n));
  out.gradient = fit.at.gradient.cwiseAbs().maxCoeff();
  out.converged = fit.converged;
  out.singular = fit.singular;
  return out;
}

}  // namespace

std::vector<Refit> refit_responses(const BlockedData& levels,
                                   const std::vector<FactorRows>& rows,
                                   const ConstMatrixRef& Q, const ConstMatrixRef& Y,
                                   const OptimiseSettings& settings, const Vector& start,
                                   int threads) {
  std::vector<Refit> out(static_cast<std::size_t>(Y.cols()));
  // with a rest LAPACK has the threads
  const Index parts = levels.rest_size() > 0 ? 1 : threads;
  const LevelClasses classes =
      levels.rest_size() > 0 ? LevelClasses() : level_classes(levels);
  parallel_for(parts, static_cast<int>(parts), [&](Index part) {
    BlockedData data = levels;
    for (Index b = part; b < Y.cols(); b += parts) {
      const Vector y = Y.col(b);
      const Vector of_Q = Q.transpose() * y;
      Vector r = y - Q * of_Q;
      r -= Q * (Q.transpose() * r).eval();
      replace_response(rows, r, data);
      out[static_cast<std::size_t>(b)] =
          refit_one(merged_levels(data, classes), of_Q, settings, start);
    }
  });
  return out;
}

}  // namespace kinlmm
