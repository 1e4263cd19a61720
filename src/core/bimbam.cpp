#include "core/bimbam.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <locale>
#include <sstream>
#include <utility>

#include "core/error.h"
#include "core/parallel.h"

namespace kinlmm {

namespace {

constexpr Index kNames = 3;  // columns before the dosages
constexpr Index kLinesPerTick = 1000;

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r';
}

struct Text {
  const char* first;
  const char* last;
  std::string string() const { return std::string(first, last); }
};

// The columns of a line. A comma, with or without blanks around it, separates like blanks
// do; a comma at the end of the line is not looked at.
class Columns {
 public:
  Columns(const char* first, const char* last) : at_(first), end_(last) {
    while (end_ > at_ && is_blank(end_[-1])) --end_;
    if (end_ > at_ && end_[-1] == ',') --end_;
    skip_blanks();
  }

  bool next(Text& column) {
    if (at_ == end_) return false;
    column.first = at_;
    while (at_ < end_ && *at_ != ',' && !is_blank(*at_)) ++at_;
    column.last = at_;
    skip_blanks();
    if (at_ < end_ && *at_ == ',') {
      ++at_;
      skip_blanks();
    }
    return true;
  }

 private:
  void skip_blanks() {
    while (at_ < end_ && is_blank(*at_)) ++at_;
  }

  const char* at_;
  const char* end_;
};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Any number that a C program would write.
bool parse_slowly(const char* first, const char* last, double& value) {
  std::istringstream in(std::string(first, last));
  in.imbue(std::locale::classic());
  in >> std::noskipws >> value;
  return !in.fail() && in.peek() == std::istringstream::traits_type::eof();
}

void check_places(const std::vector<Index>& places, Index count,
                  const std::string& path) {
  for (const Index place : places) {
    if (place >= 0 && place < count) continue;
    throw Error("bimbam_index", {{"index", double(place)}, {"count", double(count)}},
                path);
  }
}

Index file_size(std::ifstream& file) {
  file.clear();
  file.seekg(0, std::ios::end);
  return static_cast<Index>(file.tellg());
}

}  // namespace

bool parse_dosage(const char* first, const char* last, double& value) {
  if (last - first == 2 && first[0] == 'N' && first[1] == 'A') {
    value = std::numeric_limits<double>::quiet_NaN();
    return true;
  }
  // digits and a point: a whole number below 2^53 by a power of ten up to 10^22, both of
  // which are doubles, so that the quotient is the double nearest to the text
  static constexpr double kPowers[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                       1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
  std::uint64_t digits = 0;
  Index places = 0;
  bool point = false, any = false;
  const char* at = first;
  for (; at < last && last - first <= 16; ++at) {
    if (*at == '.' && !point) {
      point = true;
    } else if (is_digit(*at)) {
      digits = 10 * digits + static_cast<std::uint64_t>(*at - '0');
      places += point;
      any = true;
    } else {
      break;
    }
  }
  if (at == last && any && digits < (std::uint64_t(1) << 53)) {
    value = static_cast<double>(digits) / kPowers[places];
    return true;
  }
  return parse_slowly(first, last, value);
}

BimbamIndex index_bimbam(const std::string& path, Monitor& monitor) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error("bimbam_missing", {}, path);
  const Index size = file_size(file);
  file.seekg(0);
  BimbamIndex out;
  std::string line;
  Index number = 0, offset = 0;
  while (std::getline(file, line)) {
    ++number;
    if (line.find('\0') != std::string::npos) {
      throw Error("bimbam_nul", {{"line", double(number)}}, path);
    }
    Columns columns(line.data(), line.data() + line.size());
    Text names[kNames] = {}, value;
    Index count = 0;
    while (columns.next(count < kNames ? names[count] : value)) ++count;
    if (count > 0) {
      const Index expected =
          out.id.empty() ? std::max(count, kNames + 1) : kNames + out.samples;
      if (count != expected) {
        throw Error("bimbam_columns",
                    {{"line", double(number)},
                     {"got", double(count)},
                     {"expected", out.id.empty() ? -1 : double(expected)}},
                    path);
      }
      out.samples = count - kNames;
      out.id.push_back(names[0].string());
      out.a1.push_back(names[1].string());
      out.a2.push_back(names[2].string());
      out.offsets.push_back(static_cast<double>(offset));
    }
    offset += static_cast<Index>(line.size()) + 1;
    if (number % kLinesPerTick == 0) monitor.tick(std::min(offset, size), size);
  }
  if (out.id.empty()) throw Error("bimbam_empty", {}, path);
  out.offsets.push_back(static_cast<double>(size));
  return out;
}

BimbamSource::BimbamSource(const std::string& path, Index n_file,
                           std::vector<double> offsets, std::vector<Index> samples,
                           std::vector<Index> markers, int threads)
    : path_(path),
      file_(path, std::ios::binary),
      n_file_(n_file),
      offsets_(std::move(offsets)),
      samples_(std::move(samples)),
      markers_(std::move(markers)),
      threads_(threads) {
  if (!file_) throw Error("bimbam_missing", {}, path_);
  if (offsets_.empty() || file_size(file_) != static_cast<Index>(offsets_.back())) {
    throw Error("bimbam_changed", {}, path_);
  }
  check_places(samples_, n_file_, path_);
  check_places(markers_, static_cast<Index>(offsets_.size()) - 1, path_);
}

// Lines are counted only where one is at fault.
double BimbamSource::line_number(Index marker) const {
  std::ifstream file(path_, std::ios::binary);
  std::string before(static_cast<std::size_t>(offsets_[marker]), ' ');
  file.read(&before[0], static_cast<std::streamsize>(before.size()));
  return 1 + static_cast<double>(std::count(before.begin(), before.end(), '\n'));
}

void BimbamSource::parse_line(Index marker, const char* at, const char* end,
                              double* out) const {
  std::vector<double> values(static_cast<std::size_t>(n_file_));
  Columns columns(at, std::find(at, end, '\n'));
  Text column;
  for (Index k = 0; k < kNames; ++k) columns.next(column);
  Index found = 0;
  for (; found < n_file_ && columns.next(column); ++found) {
    double& value = values[found];
    if (parse_dosage(column.first, column.last, value) && !(value < 0 || value > 2)) {
      continue;
    }
    throw Error("bimbam_value",
                {{"line", line_number(marker)},
                 {"column", double(kNames + found + 1)},
                 {"start", offsets_[marker]},
                 {"end", offsets_[marker + 1]}},
                path_);
  }
  if (found < n_file_) throw Error("bimbam_changed", {}, path_);
  for (std::size_t i = 0; i < samples_.size(); ++i) out[i] = values[samples_[i]];
}

void BimbamSource::load(Index first, Index count) {
  if (first == first_ && count == block_.cols()) return;
  first_ = -1;
  block_.resize(samples(), count);
  std::vector<std::string> lines(static_cast<std::size_t>(count));
  for (Index j = 0; j < count; ++j) {
    const Index marker = markers_[first + j];
    const auto start = static_cast<std::streamoff>(offsets_[marker]);
    const auto end = static_cast<std::streamoff>(offsets_[marker + 1]);
    lines[j].resize(static_cast<std::size_t>(end - start));
    file_.clear();
    file_.seekg(start);
    file_.read(&lines[j][0], end - start);
    if (file_.gcount() != end - start) throw Error("bimbam_changed", {}, path_);
  }
  parallel_for(count, threads_, [&](Index j) {
    const char* text = lines[j].data();
    parse_line(markers_[first + j], text, text + lines[j].size(), block_.col(j).data());
  });
  first_ = first;
}

void BimbamSource::read(Index first, Index count, MatrixRef out) {
  load(first, count);
  out = block_;
}

bool BimbamSource::read_counts(Index first, Index count, std::uint8_t* out) {
  load(first, count);
  const double* x = block_.data();
  for (Index i = 0; i < block_.size(); ++i) {
    if (!as_count(x[i], out[i])) return false;
  }
  return true;
}

}  // namespace kinlmm
