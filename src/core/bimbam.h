// Mean genotypes as text, a marker a line: id, two alleles, and a dosage for every
// sample, separated by commas or blanks. Values are from 0 to 2, or NA.
#pragma once

#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "core/genotypes.h"
#include "core/monitor.h"
#include "core/types.h"

namespace kinlmm {

struct BimbamIndex {
  std::vector<std::string> id, a1, a2;  // a1, the first, is the allele that is counted
  std::vector<double> offsets;          // where each line starts, and the file ends
  Index samples = 0;
};

// Reads the file once. Throws Error with `path` as subject: bimbam_missing, bimbam_empty,
// bimbam_nul (line), bimbam_columns (line, 1-based, its columns got, and expected).
BimbamIndex index_bimbam(const std::string& path, Monitor& monitor);

// The number that is all of the text; NaN for NA. No if it is neither. Exact, and the
// same in every locale.
bool parse_dosage(const char* first, const char* last, double& value);

// The markers whose lines start at `offsets`; they are parsed when they are read.
class BimbamSource : public GenotypeSource {
 public:
  // samples, markers: 0-based places in the file, in any order. Throws Error with `path`
  // as subject: bimbam_missing, bimbam_changed if the file ends elsewhere, bimbam_index
  // (a place outside of the file).
  BimbamSource(const std::string& path, Index n_file, std::vector<double> offsets,
               std::vector<Index> samples, std::vector<Index> markers, int threads);

  Index samples() const override { return static_cast<Index>(samples_.size()); }
  Index markers() const override { return static_cast<Index>(markers_.size()); }
  // Throws Error bimbam_value (line, column, 1-based, and the bytes of the file, start to
  // end, in which the line is) for what is no dosage from 0 to 2,
  // and bimbam_changed for a line of other columns than when it was indexed.
  void read(Index first, Index count, MatrixRef out) override;
  // The block is kept for read(), which may be called next.
  bool read_counts(Index first, Index count, std::uint8_t* out) override;

 private:
  void load(Index first, Index count);
  // One line of the file to a column of block_.
  void parse_line(Index marker, const char* at, const char* end, double* out) const;
  double line_number(Index marker) const;

  std::string path_;
  std::ifstream file_;
  Index n_file_;
  std::vector<double> offsets_;
  std::vector<Index> samples_, markers_;
  int threads_;
  Matrix block_;  // samples x count, of the markers from first_
  Index first_ = -1;
};

}  // namespace kinlmm
