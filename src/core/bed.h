// PLINK 1 .bed files, variant-major, read by blocks of markers.
#pragma once

#include <fstream>
#include <string>
#include <vector>

#include "core/genotypes.h"
#include "core/types.h"

namespace kinlmm {

// Counts of A1 from a .bed of m_file markers by n_file samples. Holds one buffer.
class BedSource : public GenotypeSource {
 public:
  // samples, markers: 0-based places in the file, in any order, repeated if asked for.
  // threads: for decoding. Checks the whole header and the size of the file and throws
  // Error with `path` as subject: bed_missing, bed_magic (b0, b1, b2), bed_mode (mode),
  // bed_size (expected, got), bed_read, bed_index (an index outside of the file).
  BedSource(const std::string& path, Index n_file, Index m_file,
            std::vector<Index> samples, std::vector<Index> markers, int threads = 1);

  Index samples() const override { return static_cast<Index>(samples_.size()); }
  Index markers() const override { return static_cast<Index>(markers_.size()); }
  // Throws Error bed_read (marker, 0-based) if the file has changed since it was opened.
  void read(Index first, Index count, MatrixRef out) override;
  bool read_counts(Index first, Index count, std::uint8_t* out) override;

 private:
  void check_header();
  void check_size();
  // Length of the run of neighbours in the file that starts at the selected marker first.
  Index run_length(Index first, Index most) const;
  void load(Index marker, Index count);
  template <class Value>
  void decode(const unsigned char* bytes, Value* out) const;
  // Reads these markers and decodes marker first + j to out + j * stride.
  template <class Value>
  void read_to(Index first, Index count, Value* out, Index stride);

  std::string path_;
  std::ifstream file_;
  Index n_file_, m_file_;
  Index stride_;  // bytes of one marker
  std::vector<Index> samples_, markers_;
  bool every_sample_;  // samples_ is 0, 1, ..., n_file - 1
  int threads_;
  std::vector<unsigned char> buffer_;
};

}  // namespace kinlmm
