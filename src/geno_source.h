// The genotypes that core_source() of R/geno-source.R describes, as a source of the core.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/bed.h"
#include "glue.h"

namespace kinlmm {
namespace glue {

inline std::vector<Index> as_places(SEXP x) {
  const Rcpp::IntegerVector places(x);
  return std::vector<Index>(places.begin(), places.end());
}

// What marker_filter() of R/geno-filter.R says.
inline MarkerFilter as_filter(const Rcpp::List& filter) {
  MarkerFilter out;
  out.maf = filter["maf"];
  out.missing = filter["missing"];
  return out;
}

// The source reads from R's memory or from a file: `source` must outlive it.
inline std::unique_ptr<GenotypeSource> open_source(const Rcpp::List& source,
                                                   int threads) {
  auto samples = as_places(source["sample_index0"]);
  auto markers = as_places(source["marker_index0"]);
  if (Rcpp::as<std::string>(source["type"]) == "matrix") {
    const Rcpp::NumericMatrix data = source["data"];
    return std::make_unique<MatrixSource>(map(data), std::move(samples),
                                          std::move(markers));
  }
  return std::make_unique<BedSource>(
      Rcpp::as<std::string>(source["path"]), Rcpp::as<Index>(source["n_file"]),
      Rcpp::as<Index>(source["m_file"]), std::move(samples), std::move(markers), threads);
}

}  // namespace glue
}  // namespace kinlmm
