// Between R and the core: exceptions become data, R's progress callback a Monitor.
#pragma once

#include <Rcpp.h>

#include "core/error.h"
#include "core/monitor.h"
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

inline Rcpp::NumericMatrix wrap_matrix(const Matrix& x) {
  Rcpp::NumericMatrix out(
      Rcpp::no_init(static_cast<int>(x.rows()), static_cast<int>(x.cols())));
  std::copy(x.data(), x.data() + x.size(), out.begin());
  return out;
}
inline Rcpp::NumericVector wrap_vector(const Vector& x) {
  return Rcpp::NumericVector(x.data(), x.data() + x.size());
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
