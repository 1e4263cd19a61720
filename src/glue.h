// Between R and the core: exceptions become data, R's progress callback a Monitor.
#pragma once

#include <Rcpp.h>

#include <cstdint>

#include "core/error.h"
#include "core/moments.h"
#include "core/monitor.h"
#include "core/optimise.h"
#include "core/types.h"

namespace kinlmm {
namespace glue {

using MatrixMap = Eigen::Map<const Matrix>;
using VectorMap = Eigen::Map<const Vector>;

inline MatrixMap map(const Rcpp::NumericMatrix& x) {
  return MatrixMap(x.begin(), x.nrow(), x.ncol());
}
inline VectorMap map(const Rcpp::NumericVector& x) {
  return VectorMap(x.begin(), x.size());
}

// A numeric matrix that is only read: Rcpp's would copy one that R shares.
inline MatrixMap read_matrix(SEXP x) {
  return MatrixMap(REAL_RO(x), Rf_nrows(x), Rf_ncols(x));
}

inline Rcpp::NumericMatrix wrap_matrix(const Matrix& x) {
  Rcpp::NumericMatrix out(
      Rcpp::no_init(static_cast<int>(x.rows()), static_cast<int>(x.cols())));
  std::copy(x.data(), x.data() + x.size(), out.begin());
  return out;
}
inline Rcpp::NumericVector wrap_vector(const Vector& x) {
  return Rcpp::NumericVector(x.data(), x.data() + x.size());
}

// 0, 1, 2 of engine_moments() in R.
inline Order as_order(int order) {
  return order == 0 ? Order::value : order == 1 ? Order::gradient : Order::exact;
}

// Matrices of one size as an array of these dimensions behind theirs.
inline Rcpp::NumericVector wrap_array(const std::vector<Matrix>& x, Index rows,
                                      std::initializer_list<Index> beyond) {
  Rcpp::IntegerVector dim = {static_cast<int>(rows), static_cast<int>(rows)};
  for (Index size : beyond) dim.push_back(static_cast<int>(size));
  Rcpp::NumericVector out(static_cast<R_xlen_t>(x.size()) * rows * rows);
  double* to = out.begin();
  for (const Matrix& slice : x)
    to = std::copy(slice.data(), slice.data() + slice.size(), to);
  out.attr("dim") = dim;
  return out;
}

// See engine_moments() in R.
inline Rcpp::List wrap_moments(const Moments& m) {
  Rcpp::List out =
      Rcpp::List::create(Rcpp::_["logdet"] = m.logdet, Rcpp::_["S"] = wrap_matrix(m.S));
  const Index count = m.trace.size(), width = m.S.rows();
  if (m.W.empty()) return out;
  out["trace"] = wrap_vector(m.trace);
  out["W"] = wrap_array(m.W, width, {count});
  if (m.WW.empty()) return out;
  out["traces"] = wrap_matrix(m.traces);
  std::vector<Matrix> WW(m.WW.size());  // the first component runs fastest in R
  for (Index c = 0; c < count; ++c) {
    for (Index d = 0; d < count; ++d) {
      WW[static_cast<std::size_t>(d * count + c)] =
          m.WW[static_cast<std::size_t>(c * count + d)];
    }
  }
  out["WW"] = wrap_array(WW, width, {count, count});
  return out;
}

inline Rcpp::List wrap_optimum(const Optimum& fit) {
  return Rcpp::List::create(
      Rcpp::_["theta"] = wrap_vector(fit.theta),
      Rcpp::_["gradient"] = wrap_vector(fit.at.gradient),
      Rcpp::_["iterations"] = fit.iterations, Rcpp::_["evaluations"] = fit.evaluations,
      Rcpp::_["starts"] = fit.starts, Rcpp::_["converged"] = fit.converged,
      Rcpp::_["singular"] = fit.singular);
}

// random_seed() of R as a seed for Random.
inline std::uint64_t seed_of(const Rcpp::NumericVector& draws) {
  return static_cast<std::uint64_t>(draws[0]) << 32 |
         static_cast<std::uint64_t>(draws[1]);
}

inline std::vector<Vector> columns_of(const Rcpp::NumericMatrix& x) {
  std::vector<Vector> out;
  for (int i = 0; i < x.ncol(); ++i) out.push_back(map(x).col(i));
  return out;
}

// Runs f and returns its list; an Error of the core becomes a list of class
// "kinlmm_core_error" that R turns into a sentence (see check_core() in conditions.R).
template <class F>
Rcpp::List guarded(F&& f) {
  try {
    return f();
  } catch (const Error& e) {
    Rcpp::List data;
    for (const auto& item : e.data()) data[item.first] = item.second;
    Rcpp::List out =
        Rcpp::List::create(Rcpp::_["kind"] = e.kind(), Rcpp::_["data"] = data,
                           Rcpp::_["subject"] = e.subject());
    out.attr("class") = "kinlmm_core_error";
    return out;
  }
}

// Checks for a user interrupt and calls an R function(done, total), if there is one.
class RMonitor : public Monitor {
 public:
  explicit RMonitor(SEXP callback) : callback_(callback) {}
  void tick(Index done, Index total) override {
    Rcpp::checkUserInterrupt();
    if (!Rf_isNull(callback_)) {
      Rcpp::Function call(callback_);
      call(static_cast<double>(done), static_cast<double>(total));
    }
  }

 private:
  SEXP callback_;
};

}  // namespace glue
}  // namespace kinlmm
