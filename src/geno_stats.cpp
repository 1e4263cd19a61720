#include "core/geno_stats.h"

#include <algorithm>

#include "core/hwe.h"
#include "core/parallel.h"
#include "geno_source.h"

using namespace kinlmm;

namespace {

// Markers at a time: enough for the threads, in 32 MB where they are whole numbers.
Index block_of(Index n) {
  return std::max<Index>(1,
                         std::min<Index>(256, (Index(1) << 25) / std::max<Index>(1, n)));
}

Rcpp::NumericVector as_numbers(const std::vector<Index>& x) {
  return Rcpp::NumericVector(x.begin(), x.end());
}

}  // namespace

// What each marker of a source looks like, and its fate under the filter. test: whether
// all are tested for Hardy-Weinberg proportions.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_snp_stats(Rcpp::List source, Rcpp::List filter, bool test, bool midp,
                         int threads, SEXP progress) {
  return glue::guarded([&] {
    const auto geno = glue::open_source(source, threads);
    const Index n = geno->samples(), m = geno->markers();
    const MarkerFilter limits = glue::as_filter(filter);
    Rcpp::NumericMatrix counts(static_cast<int>(m), 3);
    Rcpp::NumericVector observed(m), mean(m), hwe(m, NA_REAL);
    Rcpp::IntegerVector fates(m);
    glue::RMonitor monitor(progress);
    // threads must not touch R's objects, but their memory
    double *count = counts.begin(), *seen = observed.begin(), *average = mean.begin(),
           *p = hwe.begin();
    int* what = fates.begin();
    for_each_summary(*geno, block_of(geno->samples()), threads, monitor,
                     [&](Index first, const std::vector<MarkerSummary>& of) {
                       parallel_for(static_cast<Index>(of.size()), threads, [&](Index j) {
                         const MarkerSummary& s = of[j];
                         const Index at = first + j;
                         for (Index k = 0; k < 3; ++k) {
                           count[k * m + at] =
                               s.whole() ? static_cast<double>(s.counts[k]) : NA_REAL;
                         }
                         seen[at] = static_cast<double>(s.observed);
                         average[at] = s.observed > 0 ? s.mean : NA_REAL;
                         what[at] = static_cast<int>(fate(s, n, limits));
                         if (test && s.whole() && s.observed > 0)
                           p[at] = hwe_p(s.counts, midp);
                       });
                     });
    return Rcpp::List::create(Rcpp::_["counts"] = counts, Rcpp::_["observed"] = observed,
                              Rcpp::_["mean"] = mean, Rcpp::_["hwe"] = hwe,
                              Rcpp::_["fate"] = fates);
  });
}

// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_sample_stats(Rcpp::List source, int threads, SEXP progress) {
  return glue::guarded([&] {
    const auto geno = glue::open_source(source, threads);
    glue::RMonitor monitor(progress);
    const SampleStats s =
        sample_stats(*geno, block_of(geno->samples()), threads, monitor);
    return Rcpp::List::create(Rcpp::_["observed"] = as_numbers(s.observed),
                              Rcpp::_["calls"] = as_numbers(s.calls),
                              Rcpp::_["heterozygous"] = as_numbers(s.heterozygous),
                              Rcpp::_["expected"] = s.expected);
  });
}
