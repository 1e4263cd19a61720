#include "core/bed.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "core/error.h"
#include "core/parallel.h"

namespace kinlmm {

namespace {

constexpr Index kHeader = 3;
constexpr Index kBufferBytes = Index(1) << 24;

template <class Value>
using DecodeTable = std::array<std::array<Value, 4>, 256>;

// Four genotypes a byte, the first sample in the two lowest bits.
template <class Value>
DecodeTable<Value> make_table(Value missing) {
  const Value copies[4] = {2, missing, 1, 0};
  DecodeTable<Value> table;
  for (unsigned byte = 0; byte < 256; ++byte) {
    for (unsigned slot = 0; slot < 4; ++slot) {
      table[byte][slot] = copies[(byte >> (2 * slot)) & 3u];
    }
  }
  return table;
}

const DecodeTable<double>& decode_table(double) {
  static const auto table = make_table(std::numeric_limits<double>::quiet_NaN());
  return table;
}

const DecodeTable<std::uint8_t>& decode_table(std::uint8_t) {
  static const auto table = make_table(kMissingCount);
  return table;
}

void check_places(const std::vector<Index>& places, Index count,
                  const std::string& path) {
  for (const Index place : places) {
    if (place < 0 || place >= count) {
      throw Error("bed_index", {{"index", double(place)}, {"count", double(count)}},
                  path);
    }
  }
}

bool is_identity(const std::vector<Index>& places, Index count) {
  if (static_cast<Index>(places.size()) != count) return false;
  for (Index i = 0; i < count; ++i) {
    if (places[i] != i) return false;
  }
  return true;
}

}  // namespace

BedSource::BedSource(const std::string& path, Index n_file, Index m_file,
                     std::vector<Index> samples, std::vector<Index> markers, int threads)
    : path_(path),
      file_(path, std::ios::binary),
      n_file_(n_file),
      m_file_(m_file),
      stride_((n_file + 3) / 4),
      samples_(std::move(samples)),
      markers_(std::move(markers)),
      every_sample_(is_identity(samples_, n_file)),
      threads_(threads) {
  if (!file_) throw Error("bed_missing", {}, path_);
  check_header();
  check_size();
  check_places(samples_, n_file_, path_);
  check_places(markers_, m_file_, path_);
}

void BedSource::check_header() {
  unsigned char b[kHeader] = {0, 0, 0};
  file_.read(reinterpret_cast<char*>(b), kHeader);
  if (file_.gcount() < kHeader) {
    file_.clear();
    return;  // too short for a header: check_size() reports it
  }
  if (b[0] != 0x6c || b[1] != 0x1b) {
    throw Error("bed_magic", {{"b0", b[0]}, {"b1", b[1]}, {"b2", b[2]}}, path_);
  }
  if (b[2] != 0x01) throw Error("bed_mode", {{"mode", b[2]}}, path_);
}

void BedSource::check_size() {
  file_.seekg(0, std::ios::end);
  const std::streamoff got = file_.tellg();
  if (!file_ || got < 0) throw Error("bed_read", {{"marker", 0}}, path_);
  const Index expected = kHeader + m_file_ * stride_;
  if (static_cast<Index>(got) != expected) {
    throw Error("bed_size", {{"expected", double(expected)}, {"got", double(got)}},
                path_);
  }
}

Index BedSource::run_length(Index first, Index most) const {
  Index run = 1;
  while (run < most && markers_[first + run] == markers_[first] + run) ++run;
  return run;
}

void BedSource::load(Index marker, Index count) {
  const Index bytes = count * stride_;
  if (static_cast<Index>(buffer_.size()) < bytes) buffer_.resize(bytes);
  file_.seekg(static_cast<std::streamoff>(kHeader + marker * stride_));
  file_.read(reinterpret_cast<char*>(buffer_.data()), bytes);
  if (file_.gcount() != bytes)
    throw Error("bed_read", {{"marker", double(marker)}}, path_);
}

template <class Value>
void BedSource::decode(const unsigned char* bytes, Value* out) const {
  const DecodeTable<Value>& table = decode_table(Value());
  if (!every_sample_) {
    for (std::size_t i = 0; i < samples_.size(); ++i) {
      out[i] = table[bytes[samples_[i] >> 2]][samples_[i] & 3];
    }
    return;
  }
  const Index whole = n_file_ / 4;
  for (Index k = 0; k < whole; ++k) {
    std::copy(table[bytes[k]].begin(), table[bytes[k]].end(), out + 4 * k);
  }
  for (Index i = 4 * whole; i < n_file_; ++i) out[i] = table[bytes[whole]][i & 3];
}

template <class Value>
void BedSource::read_to(Index first, Index count, Value* out, Index stride) {
  const Index room = std::max<Index>(1, kBufferBytes / std::max<Index>(1, stride_));
  for (Index done = 0; done < count;) {
    const Index run = run_length(first + done, std::min(room, count - done));
    load(markers_[first + done], run);
    parallel_for(run, threads_, [&](Index j) {
      decode(buffer_.data() + j * stride_, out + (done + j) * stride);
    });
    done += run;
  }
}

void BedSource::read(Index first, Index count, MatrixRef out) {
  read_to(first, count, out.data(), out.outerStride());
}

bool BedSource::read_counts(Index first, Index count, std::uint8_t* out) {
  read_to(first, count, out, samples());
  return true;
}

}  // namespace kinlmm
