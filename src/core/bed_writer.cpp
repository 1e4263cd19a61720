#include "core/bed_writer.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/parallel.h"

namespace kinlmm {

namespace {

// Missing, and 0, 1 and 2 copies of A1.
constexpr unsigned kCodes[4] = {1, 3, 2, 0};

void pack(const Call* calls, Index n, unsigned char* out) {
  for (Index first = 0; first < n; first += 4) {
    const Index count = std::min<Index>(4, n - first);
    unsigned byte = 0;
    for (Index k = 0; k < count; ++k) byte |= kCodes[calls[first + k] + 1] << (2 * k);
    *out++ = static_cast<unsigned char>(byte);
  }
}

// false if some x is no call; `bad` is then the first.
bool as_calls(const double* x, Index n, Call* out, Index& bad) {
  for (Index i = 0; i < n; ++i) {
    if (std::isnan(x[i])) {
      out[i] = kNoCall;
    } else if (x[i] == 0 || x[i] == 1 || x[i] == 2) {
      out[i] = static_cast<Call>(x[i]);
    } else {
      bad = i;
      return false;
    }
  }
  return true;
}

}  // namespace

BedWriter::BedWriter(const std::string& path, Index n)
    : path_(path), n_(n), file_(path, std::ios::binary | std::ios::trunc) {
  file_.write("\x6c\x1b\x01", 3);
  check();
}

void BedWriter::check() {
  if (!file_) throw Error("bed_write", {}, path_);
}

void BedWriter::write(const Call* calls, Index count, int threads) {
  const Index stride = (n_ + 3) / 4;
  buffer_.resize(static_cast<std::size_t>(count * stride));
  parallel_for(count, threads,
               [&](Index j) { pack(calls + j * n_, n_, buffer_.data() + j * stride); });
  file_.write(reinterpret_cast<const char*>(buffer_.data()), count * stride);
  check();
}

void BedWriter::close() {
  file_.close();
  check();
}

void write_genotypes(GenotypeSource& source, BedWriter& out, Index block, int threads,
                     Monitor& monitor) {
  const Index n = source.samples(), m = source.markers();
  Matrix G(n, std::min(block, m));
  std::vector<Call> calls(static_cast<std::size_t>(G.size()));
  std::vector<Index> bad(static_cast<std::size_t>(G.cols()));
  for (Index first = 0; first < m; first += block) {
    const Index count = std::min(block, m - first);
    source.read(first, count, G.leftCols(count));
    std::fill(bad.begin(), bad.end(), Index(-1));
    parallel_for(count, threads, [&](Index j) {
      as_calls(G.col(j).data(), n, calls.data() + j * n, bad[j]);
    });
    for (Index j = 0; j < count; ++j) {
      if (bad[j] < 0) continue;
      throw Error("bed_dosage", {{"sample", double(bad[j])},
                                 {"marker", double(first + j)},
                                 {"value", G(bad[j], j)}});
    }
    out.write(calls.data(), count, threads);
    monitor.tick(first + count, m);
  }
}

}  // namespace kinlmm
