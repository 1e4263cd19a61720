#include <algorithm>
#include <string>

#include "core/grm_files.h"
#include "glue.h"

using namespace kinlmm;

namespace {

// Bytes of an R connection: pull(count) returns raws.
class PullSource : public ByteSource {
 public:
  explicit PullSource(const Rcpp::Function& pull) : pull_(pull) {}
  std::size_t read(char* to, std::size_t count) override {
    const Rcpp::RawVector bytes = pull_(static_cast<double>(count));
    std::copy(bytes.begin(), bytes.end(), reinterpret_cast<Rbyte*>(to));
    return static_cast<std::size_t>(bytes.size());
  }

 private:
  Rcpp::Function pull_;
};

// Bytes for an R connection: push(raws).
class PushSink : public ByteSink {
 public:
  explicit PushSink(const Rcpp::Function& push) : push_(push) {}
  void write(const char* from, std::size_t count) override {
    push_(Rcpp::RawVector(from, from + count));
  }

 private:
  Rcpp::Function push_;
};

KinshipLayout as_layout(bool triangle) {
  return triangle ? KinshipLayout::triangle : KinshipLayout::square;
}

NumberWidth as_width(int bytes) {
  return bytes == 4 ? NumberWidth::single : NumberWidth::twice;
}

// Counts as R has them: NULL, a number, or a matrix of which `differing` was made.
SEXP as_counts(const PairCounts& counts, const Rcpp::NumericMatrix& differing) {
  if (counts.differ()) return differing;
  return Rcpp::wrap(counts.first());
}

}  // namespace

// A matrix of n rows and k columns as text; of a kinship, of either layout.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_text_matrix_read(Rcpp::Function pull, double n, double k, bool kinship,
                                SEXP progress) {
  return glue::guarded([&] {
    PullSource source(pull);
    glue::RMonitor monitor(progress);
    Rcpp::NumericMatrix X(static_cast<int>(n), static_cast<int>(k));
    Eigen::Map<Matrix> to(X.begin(), X.nrow(), X.ncol());
    read_text_matrix(source, kinship, to, monitor);
    return Rcpp::List::create(Rcpp::_["K"] = X);
  });
}

// A kinship of n samples in numbers of `width` bytes.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_kinship_read(Rcpp::Function pull, double n, bool triangle, int width,
                            SEXP progress) {
  return glue::guarded([&] {
    PullSource source(pull);
    glue::RMonitor monitor(progress);
    Rcpp::NumericMatrix K(static_cast<int>(n), static_cast<int>(n));
    Eigen::Map<Matrix> to(K.begin(), K.nrow(), K.ncol());
    read_binary_kinship(source, as_layout(triangle), as_width(width), to, monitor);
    return Rcpp::List::create(Rcpp::_["K"] = K);
  });
}

// Numbers of SNPs of pairs of n samples.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_counts_read(Rcpp::Function pull, int n, SEXP progress) {
  return glue::guarded([&] {
    PullSource source(pull);
    glue::RMonitor monitor(progress);
    Rcpp::NumericMatrix all;
    PairCounts counts(n, [&] { return (all = Rcpp::NumericMatrix(n, n)).begin(); });
    read_binary_counts(source, n, counts, monitor);
    return Rcpp::List::create(Rcpp::_["observed"] = as_counts(counts, all));
  });
}

// A kinship of n samples as lines of pairs.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_pairs_read(Rcpp::Function pull, int n, SEXP progress) {
  return glue::guarded([&] {
    PullSource source(pull);
    glue::RMonitor monitor(progress);
    Rcpp::NumericMatrix K(n, n), all;
    Eigen::Map<Matrix> to(K.begin(), n, n);
    PairCounts counts(n, [&] { return (all = Rcpp::NumericMatrix(n, n)).begin(); });
    read_pairs(source, to, counts, monitor);
    return Rcpp::List::create(Rcpp::_["K"] = K,
                              Rcpp::_["observed"] = as_counts(counts, all));
  });
}

// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_text_matrix_write(Rcpp::NumericMatrix X, bool triangle,
                                 Rcpp::Function push, SEXP progress) {
  return glue::guarded([&] {
    PushSink sink(push);
    glue::RMonitor monitor(progress);
    write_text_matrix(glue::map(X), as_layout(triangle), sink, monitor);
    return Rcpp::List::create();
  });
}

// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_kinship_write(Rcpp::NumericMatrix K, bool triangle, int width,
                             Rcpp::Function push, SEXP progress) {
  return glue::guarded([&] {
    PushSink sink(push);
    glue::RMonitor monitor(progress);
    write_binary_kinship(glue::map(K), as_layout(triangle), as_width(width), sink,
                         monitor);
    return Rcpp::List::create();
  });
}

// One number of SNPs for all pairs of n samples.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_counts_write(int n, double count, Rcpp::Function push, SEXP progress) {
  return glue::guarded([&] {
    PushSink sink(push);
    glue::RMonitor monitor(progress);
    write_constant_counts(n, count, sink, monitor);
    return Rcpp::List::create();
  });
}

// observed: samples x samples, or a single number.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_pairs_write(Rcpp::NumericMatrix K, Rcpp::NumericMatrix observed,
                           Rcpp::Function push, SEXP progress) {
  return glue::guarded([&] {
    PushSink sink(push);
    glue::RMonitor monitor(progress);
    write_pairs(glue::map(K), glue::map(observed), sink, monitor);
    return Rcpp::List::create();
  });
}
