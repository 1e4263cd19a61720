#include "core/bimbam.h"
#include "glue.h"

using namespace kinlmm;

// The lines of a BIMBAM file.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_bimbam_index(std::string path, SEXP progress) {
  return glue::guarded([&] {
    glue::RMonitor monitor(progress);
    const BimbamIndex index = index_bimbam(path, monitor);
    return Rcpp::List::create(Rcpp::_["id"] = index.id, Rcpp::_["a1"] = index.a1,
                              Rcpp::_["a2"] = index.a2,
                              Rcpp::_["offsets"] = index.offsets,
                              Rcpp::_["samples"] = static_cast<double>(index.samples));
  });
}
