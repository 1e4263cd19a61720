// PLINK 1 .bed files, variant-major, written from the first marker to the last.
#pragma once

#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "core/genotypes.h"
#include "core/monitor.h"
#include "core/types.h"

namespace kinlmm {

// One genotype a byte: copies of A1 (0, 1, 2), or kNoCall where missing.
using Call = std::int8_t;
constexpr Call kNoCall = -1;

class BedWriter {
 public:
  // Creates `path`, or empties it. Throws Error bed_write with `path` as subject, here
  // and below, if the file can't be written.
  BedWriter(const std::string& path, Index n);

  // calls: n x count, one marker a column. threads: for packing.
  void write(const Call* calls, Index count, int threads);
  // Must be called at the end: until then, the file may lack some of its last markers.
  void close();

 private:
  void check();

  std::string path_;
  Index n_;
  std::ofstream file_;
  std::vector<unsigned char> buffer_;
};

// Writes all of a source. Throws Error bed_dosage (sample, marker, 0-based in the source,
// and value) for a genotype that is not 0, 1, 2 or NaN.
void write_genotypes(GenotypeSource& source, BedWriter& out, Index block, int threads,
                     Monitor& monitor);

}  // namespace kinlmm
