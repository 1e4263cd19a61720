// The genotypes that core_source() of R/geno-source.R describes, as a source of the core.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/bed.h"
#include "core/bimbam.h"
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
  out.hwe = filter["hwe"];
  return out;
}

// Genotypes that an R function reads: of samples and markers (places in the file from 1)
// a matrix of samples x markers, integers or doubles.
class RSource : public GenotypeSource {
 public:
  RSource(const Rcpp::Function& read, std::vector<Index> samples,
          std::vector<Index> markers)
      : ask_(read),
        samples_(samples.begin(), samples.end()),
        markers_(markers.begin(), markers.end()) {
    samples_ = samples_ + 1;
    markers_ = markers_ + 1;
  }

  Index samples() const override { return samples_.size(); }
  Index markers() const override { return markers_.size(); }

  void read(Index first, Index count, MatrixRef out) override {
    load(first, count);
    for (Index j = 0; j < count; ++j) {
      for (Index i = 0; i < samples(); ++i) out(i, j) = value(j * samples() + i);
    }
  }

  bool read_counts(Index first, Index count, std::uint8_t* out) override {
    load(first, count);
    const Index size = samples() * count;
    for (Index i = 0; i < size; ++i) {
      if (!as_count(value(i), out[i])) return false;
    }
    return true;
  }

 private:
  // The block is kept: after read_counts() said no, read() asks for the same.
  void load(Index first, Index count) {
    if (first == first_ && count == count_) return;
    first_ = -1;
    const Rcpp::IntegerVector some(markers_.begin() + first,
                                   markers_.begin() + first + count);
    block_ = ask_(samples_, some);
    if (Rf_xlength(block_) != samples() * count)
      throw Error("source_size", {{"got", double(Rf_xlength(block_))}});
    whole_ = TYPEOF(block_) == INTSXP;
    first_ = first;
    count_ = count;
  }
  double value(Index i) const {
    if (!whole_) return REAL(block_)[i];
    const int x = INTEGER(block_)[i];
    return x == NA_INTEGER ? NA_REAL : x;
  }

  Rcpp::Function ask_;
  Rcpp::IntegerVector samples_, markers_;
  Rcpp::RObject block_;
  bool whole_ = false;
  Index first_ = -1, count_ = 0;
};

// The source reads from R's memory or from a file: `source` must outlive it.
inline std::unique_ptr<GenotypeSource> open_source(const Rcpp::List& source,
                                                   int threads) {
  auto samples = as_places(source["sample_index0"]);
  auto markers = as_places(source["marker_index0"]);
  const auto type = Rcpp::as<std::string>(source["type"]);
  if (type == "function") {
    return std::make_unique<RSource>(Rcpp::Function(source["read"]), std::move(samples),
                                     std::move(markers));
  }
  if (type == "bimbam") {
    return std::make_unique<BimbamSource>(
        Rcpp::as<std::string>(source["path"]), Rcpp::as<Index>(source["n_file"]),
        Rcpp::as<std::vector<double>>(source["offsets"]), std::move(samples),
        std::move(markers), threads);
  }
  if (type == "matrix") {
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
