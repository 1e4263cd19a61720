#include <algorithm>

#include "geno_source.h"

using namespace kinlmm;

// Opens a .bed of n samples and m markers, which checks its header and size.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_bed_check(std::string path, double n, double m) {
  return glue::guarded([&] {
    BedSource(path, static_cast<Index>(n), static_cast<Index>(m), {}, {});
    return Rcpp::List::create();
  });
}

// All genotypes of a source as a matrix, samples x markers.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_geno_read(Rcpp::List source, int threads) {
  return glue::guarded([&] {
    constexpr Index kBlock = 512;
    const auto geno = glue::open_source(source, threads);
    const Index n = geno->samples(), m = geno->markers();
    Rcpp::NumericMatrix out(Rcpp::no_init(static_cast<int>(n), static_cast<int>(m)));
    Eigen::Map<Matrix> G(out.begin(), n, m);
    for (Index first = 0; first < m; first += kBlock) {
      const Index count = std::min(kBlock, m - first);
      geno->read(first, count, G.middleCols(first, count));
      Rcpp::checkUserInterrupt();
    }
    // what R calls missing is one NaN among many
    std::replace_if(
        out.begin(), out.end(), [](double x) { return R_isnancpp(x) != 0; }, NA_REAL);
    return Rcpp::List::create(Rcpp::_["genotypes"] = out);
  });
}
