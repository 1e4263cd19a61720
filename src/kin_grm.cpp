#include <algorithm>
#include <vector>

#include "core/grm.h"
#include "core/memory.h"
#include "geno_source.h"

using namespace kinlmm;

namespace {

// Results are written where R keeps them: a copy could be all the memory there is.
Rcpp::List allocate(std::size_t count, int n) {
  Rcpp::List out(count);
  for (std::size_t g = 0; g < count; ++g) {
    Rcpp::NumericMatrix one(Rcpp::no_init(n, n));
    prefer_large_pages(one.begin(),
                       sizeof(double) * static_cast<std::size_t>(one.size()));
    out[g] = one;
  }
  return out;
}

Rcpp::NumericMatrix as_table(const std::vector<GrmCounts>& counts) {
  Rcpp::NumericMatrix out(static_cast<int>(counts.size()), 6);
  for (int g = 0; g < out.nrow(); ++g) {
    const GrmCounts& at = counts[static_cast<std::size_t>(g)];
    const Index columns[] = {at.missing, at.monomorphic, at.rare, at.hwe, at.used};
    for (int j = 0; j < 5; ++j) out(g, j) = static_cast<double>(columns[j]);
    out(g, 5) = at.share;
  }
  Rcpp::colnames(out) = Rcpp::CharacterVector::create("missing", "monomorphic", "maf",
                                                      "hwe", "used", "share");
  return out;
}

// The settings of compute_grm() in R/kin-grm.R.
GrmOptions as_options(const Rcpp::List& settings, int threads) {
  GrmOptions out;
  out.method = as_grm_method(settings["method"]);
  out.filter = glue::as_filter(settings["filter"]);
  if (!Rf_isNull(settings["weights"])) {
    out.weight = Rcpp::as<std::vector<double>>(settings["weights"]);
  }
  out.sizes = glue::as_places(settings["sizes"]);
  out.leave_out = settings["leave_out"];
  out.pairwise = settings["pairwise"];
  out.block = Rcpp::as<int>(settings["block"]);
  out.with = as_instructions(settings["instructions"]);
  out.threads = threads;
  return out;
}

}  // namespace

// The relationship matrices of a source, and what became of its markers: groups x
// reasons.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_grm(Rcpp::List source, Rcpp::List settings, int threads, SEXP progress) {
  return glue::guarded([&] {
    const auto geno = glue::open_source(source, threads);
    const GrmOptions options = as_options(settings, threads);
    const int n = static_cast<int>(geno->samples());
    Rcpp::List K = allocate(options.sizes.size(), n);
    Rcpp::List observed = allocate(options.pairwise ? options.sizes.size() : 0, n);
    std::vector<GrmTarget> targets;
    for (R_xlen_t g = 0; g < K.size(); ++g) {
      targets.push_back({REAL(K[g]), options.pairwise ? REAL(observed[g]) : nullptr});
    }
    glue::RMonitor monitor(progress);
    const auto counts = grm(*geno, options, monitor, targets);
    return Rcpp::List::create(Rcpp::_["K"] = K, Rcpp::_["observed"] = observed,
                              Rcpp::_["counts"] = as_table(counts));
  });
}

// Sets attributes of x in its place: R would copy a matrix that a list holds, too. Only
// for what was just made.
// [[Rcpp::export(rng = false)]]
void cpp_set_attributes(SEXP x, Rcpp::List attributes) {
  const Rcpp::CharacterVector names = attributes.names();
  for (R_xlen_t i = 0; i < attributes.size(); ++i) {
    Rf_setAttrib(x, Rf_installChar(names[i]), attributes[i]);
  }
}
