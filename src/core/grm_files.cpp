#include "core/grm_files.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "core/error.h"
#include "core/number_text.h"

namespace kinlmm {

namespace {

constexpr std::size_t kChunk = std::size_t(1) << 20;
// Rows between two ticks.
constexpr Index kStep = 64;

// Numbers of 4 or 8 bytes from a source that need not give what is asked for at once.
class BinaryReader {
 public:
  BinaryReader(ByteSource& source, NumberWidth width)
      : source_(source), width_(static_cast<std::size_t>(width)), buffer_(kChunk) {}

  // The number that belongs to this 0-based row.
  double next(Index row) {
    if (filled_ - at_ < width_) refill(row);
    const char* from = buffer_.data() + at_;
    at_ += width_;
    return width_ == 4 ? decode<float, std::uint32_t>(from)
                       : decode<double, std::uint64_t>(from);
  }

 private:
  template <class Number, class Bits>
  static double decode(const char* from) {
    Bits bits = 0;
    for (std::size_t k = 0; k < sizeof(Bits); ++k) {
      bits |= static_cast<Bits>(static_cast<unsigned char>(from[k])) << (8 * k);
    }
    Number out;
    std::memcpy(&out, &bits, sizeof out);
    return static_cast<double>(out);
  }

  void refill(Index row) {
    std::copy(buffer_.begin() + static_cast<std::ptrdiff_t>(at_),
              buffer_.begin() + static_cast<std::ptrdiff_t>(filled_), buffer_.begin());
    filled_ -= at_;
    at_ = 0;
    while (filled_ < width_) {
      const std::size_t got =
          source_.read(buffer_.data() + filled_, buffer_.size() - filled_);
      if (got == 0) throw Error("kin_short", {{"row", double(row + 1)}});
      filled_ += got;
    }
  }

  ByteSource& source_;
  std::size_t width_;
  std::vector<char> buffer_;
  std::size_t at_ = 0, filled_ = 0;
};

// Collects what is written into chunks.
class Writer {
 public:
  explicit Writer(ByteSink& sink) : sink_(sink) { buffer_.reserve(kChunk + 64); }
  std::string& buffer() { return buffer_; }
  void flush(bool all) {
    if (buffer_.size() < kChunk && !all) return;
    sink_.write(buffer_.data(), buffer_.size());
    buffer_.clear();
  }

 private:
  ByteSink& sink_;
  std::string buffer_;
};

template <class Number, class Bits>
void encode(double x, std::string& out) {
  const Number number = static_cast<Number>(x);
  Bits bits;
  std::memcpy(&bits, &number, sizeof bits);
  for (std::size_t k = 0; k < sizeof(Bits); ++k) {
    out += static_cast<char>(static_cast<unsigned char>(bits >> (8 * k)));
  }
}

[[noreturn]] void fail_at(const char* kind, Index i, Index j, double value) {
  throw Error(kind,
              {{"row", double(i + 1)}, {"column", double(j + 1)}, {"value", value}});
}

bool half_empty(const MatrixRef& K) {
  for (Index j = 1; j < K.cols(); ++j) {
    if ((K.col(j).head(j).array() != 0).any()) return false;
  }
  return true;
}

// Copies the lower triangle to the upper one, by tiles that fit the cache.
void mirror(MatrixRef& K) {
  constexpr Index kTile = 64;
  const Index n = K.rows();
  for (Index j0 = 0; j0 < n; j0 += kTile) {
    for (Index i0 = j0; i0 < n; i0 += kTile) {
      const Index i1 = std::min(n, i0 + kTile), j1 = std::min(n, j0 + kTile);
      for (Index j = j0; j < j1; ++j) {
        for (Index i = std::max(i0, j + 1); i < i1; ++i) K(j, i) = K(i, j);
      }
    }
  }
}

Index row_length(KinshipLayout layout, Index i, Index k) {
  return layout == KinshipLayout::triangle ? i + 1 : k;
}

[[noreturn]] void fail_fields(Index line, Index got, Index expected) {
  throw Error(
      "kin_fields",
      {{"line", double(line)}, {"got", double(got)}, {"expected", double(expected)}});
}

// The first line of a matrix of k columns: a row of a square, or of a triangle.
KinshipLayout read_first_line(NumberReader& in, bool triangle_allowed,
                              std::vector<double>& row) {
  const auto k = static_cast<Index>(row.size());
  Index got = 0;
  for (double x; in.next(x); ++got) {
    if (got == k) fail_fields(in.line(), got + 1 + in.skip_line(), k);
    row[static_cast<std::size_t>(got)] = x;
  }
  if (got == k) return KinshipLayout::square;
  if (got == 1 && triangle_allowed) return KinshipLayout::triangle;
  fail_fields(in.line(), got, k);
}

}  // namespace

void read_binary_kinship(ByteSource& source, KinshipLayout layout, NumberWidth width,
                         MatrixRef K, Monitor& monitor) {
  const Index n = K.rows();
  BinaryReader in(source, width);
  for (Index i = 0; i < n; ++i) {
    for (Index j = 0; j < row_length(layout, i, n); ++j) {
      const double x = in.next(i);
      if (!std::isfinite(x)) fail_at("kin_value", i, j, x);
      K(i, j) = x;
    }
    if (i % kStep == 0) monitor.tick(i, n);
  }
  if (layout == KinshipLayout::triangle || half_empty(K)) mirror(K);
}

void read_text_matrix(ByteSource& source, bool triangle_allowed, MatrixRef X,
                      Monitor& monitor) {
  const Index n = X.rows(), k = X.cols();
  NumberReader in(source);
  if (!in.next_line()) throw Error("kin_rows", {{"got", 0}, {"expected", double(n)}});
  std::vector<double> row(static_cast<std::size_t>(k));
  const KinshipLayout layout = read_first_line(in, triangle_allowed, row);
  X.setZero();
  X.row(0) = Eigen::Map<Eigen::RowVectorXd>(row.data(), k);
  for (Index i = 1; i < n; ++i) {
    if (!in.next_line()) {
      throw Error("kin_rows", {{"got", double(i)}, {"expected", double(n)}});
    }
    const Index length = row_length(layout, i, k);
    Index got = 0;
    for (double x; in.next(x); ++got) {
      if (got == length) fail_fields(in.line(), got + 1 + in.skip_line(), length);
      X(i, got) = x;
    }
    if (got < length) fail_fields(in.line(), got, length);
    if (i % kStep == 0) monitor.tick(i, n);
  }
  if (in.next_line()) {
    throw Error("kin_rows", {{"got", double(n + 1)}, {"expected", double(n)}});
  }
  if (triangle_allowed && half_empty(X)) mirror(X);
}

void PairCounts::set(Index i, Index j, double value) {
  if (first_ < 0) first_ = value;
  if (!all_) {
    if (value == first_) return;
    all_ = make_();
    std::fill(all_, all_ + n_ * n_, first_);
  }
  all_[i + j * n_] = all_[j + i * n_] = value;
}

void read_binary_counts(ByteSource& source, Index n, PairCounts& counts,
                        Monitor& monitor) {
  BinaryReader in(source, NumberWidth::single);
  for (Index i = 0; i < n; ++i) {
    for (Index j = 0; j <= i; ++j) {
      const double x = in.next(i);
      if (!std::isfinite(x) || x < 0) fail_at("kin_count", i, j, x);
      counts.set(i, j, x);
    }
    if (i % kStep == 0) monitor.tick(i, n);
  }
}

void read_pairs(ByteSource& source, MatrixRef K, PairCounts& counts, Monitor& monitor) {
  const Index n = K.rows(), pairs = n * (n + 1) / 2;
  K.setConstant(std::numeric_limits<double>::quiet_NaN());
  NumberReader in(source);
  Index done = 0;
  while (in.next_line()) {
    if (done == pairs) {
      throw Error("kin_rows", {{"got", double(pairs + 1)}, {"expected", double(pairs)}});
    }
    double x[4];
    Index got = 0;
    for (double field; in.next(field); ++got) {
      if (got == 4) fail_fields(in.line(), 5 + in.skip_line(), 4);
      x[got] = field;
    }
    if (got < 4) fail_fields(in.line(), got, 4);
    const auto place = [&](double at) {
      return at >= 1 && at <= double(n) && at == std::floor(at);
    };
    const bool known = place(x[0]) && place(x[1]);
    const Index i = known ? static_cast<Index>(x[0]) - 1 : 0;
    const Index j = known ? static_cast<Index>(x[1]) - 1 : 0;
    if (!known || !std::isnan(K(i, j))) {
      throw Error("kin_pair", {{"line", double(in.line())}, {"i", x[0]}, {"j", x[1]}});
    }
    if (x[2] < 0) fail_at("kin_count", i, j, x[2]);
    K(i, j) = K(j, i) = x[3];
    counts.set(i, j, x[2]);
    if (++done % (kStep * 1024) == 0) monitor.tick(done, pairs);
  }
  if (done < pairs) {
    throw Error("kin_rows", {{"got", double(done)}, {"expected", double(pairs)}});
  }
}

void write_binary_kinship(const ConstMatrixRef& K, KinshipLayout layout,
                          NumberWidth width, ByteSink& sink, Monitor& monitor) {
  const double most = width == NumberWidth::single
                          ? static_cast<double>(std::numeric_limits<float>::max())
                          : std::numeric_limits<double>::max();
  const Index n = K.rows();
  Writer out(sink);
  for (Index i = 0; i < n; ++i) {
    for (Index j = 0; j < row_length(layout, i, n); ++j) {
      const double x = K(j, i);
      if (!(std::abs(x) <= most)) fail_at("kin_value", i, j, x);
      if (width == NumberWidth::single) {
        encode<float, std::uint32_t>(x, out.buffer());
      } else {
        encode<double, std::uint64_t>(x, out.buffer());
      }
    }
    out.flush(false);
    if (i % kStep == 0) monitor.tick(i, n);
  }
  out.flush(true);
}

void write_constant_counts(Index n, double count, ByteSink& sink, Monitor& monitor) {
  Writer out(sink);
  for (Index i = 0; i < n; ++i) {
    for (Index j = 0; j <= i; ++j) encode<float, std::uint32_t>(count, out.buffer());
    out.flush(false);
    if (i % kStep == 0) monitor.tick(i, n);
  }
  out.flush(true);
}

void write_text_matrix(const ConstMatrixRef& X, KinshipLayout layout, ByteSink& sink,
                       Monitor& monitor) {
  Writer out(sink);
  for (Index i = 0; i < X.rows(); ++i) {
    for (Index j = 0; j < row_length(layout, i, X.cols()); ++j) {
      if (j > 0) out.buffer() += '\t';
      append_number(X(i, j), out.buffer());
    }
    out.buffer() += '\n';
    out.flush(false);
    if (i % kStep == 0) monitor.tick(i, X.rows());
  }
  out.flush(true);
}

void write_pairs(const ConstMatrixRef& K, const ConstMatrixRef& counts, ByteSink& sink,
                 Monitor& monitor) {
  const bool shared = counts.size() == 1;
  const Index n = K.rows();
  Writer out(sink);
  std::string& text = out.buffer();
  for (Index i = 0; i < n; ++i) {
    const std::string row = std::to_string(i + 1) + '\t';
    for (Index j = 0; j <= i; ++j) {
      text += row + std::to_string(j + 1) + '\t';
      append_number(shared ? counts(0, 0) : counts(j, i), text);
      text += '\t';
      append_number(K(j, i), text);
      text += '\n';
    }
    out.flush(false);
    if (i % kStep == 0) monitor.tick(i, n);
  }
  out.flush(true);
}

}  // namespace kinlmm
