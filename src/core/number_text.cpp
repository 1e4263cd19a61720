#include "core/number_text.h"

#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <locale>
#include <sstream>

#include "core/error.h"

namespace kinlmm {

namespace {

constexpr std::size_t kBufferBytes = std::size_t(1) << 18;
// Longer than any number that somebody prints; bounds the memory that a bad file takes.
constexpr std::size_t kLongestToken = 400;
constexpr int kEnd = -1;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// 10^0, ..., 10^22, which doubles hold exactly.
constexpr double kPowers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                              1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                              1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

std::string printable(const std::string& token) {
  constexpr std::size_t kShown = 20;
  const char* digits = "0123456789abcdef";
  std::string out;
  for (std::size_t i = 0; i < token.size() && i < kShown; ++i) {
    const auto byte = static_cast<unsigned char>(token[i]);
    if (byte >= 0x20 && byte < 0x7f) {
      out += token[i];
    } else {
      out += "\\x";
      out += digits[byte >> 4];
      out += digits[byte & 15];
    }
  }
  if (token.size() > kShown) out += "...";
  return out;
}

}  // namespace

bool parse_number(const std::string& token, double& out) {
  const char* c = token.c_str();  // a NUL within the token is no digit: it ends nothing
  const char* end = c + token.size();
  const bool negative = *c == '-';
  if (*c == '-' || *c == '+') ++c;
  std::uint64_t mantissa = 0;
  int digits = 0, significant = 0;
  long exponent = 0;
  bool point = false;
  for (; c < end; ++c) {
    if (*c == '.' && !point) {
      point = true;
      continue;
    }
    if (!is_digit(*c)) break;
    ++digits;
    if (significant > 0 || *c != '0') ++significant;
    if (significant <= 18) mantissa = 10 * mantissa + static_cast<unsigned>(*c - '0');
    if (point) --exponent;
  }
  if (digits == 0) return false;
  if (c < end) {
    if (*c != 'e' && *c != 'E') return false;
    ++c;
    const bool below = c < end && *c == '-';
    if (c < end && (*c == '-' || *c == '+')) ++c;
    if (c == end) return false;
    long given = 0;
    for (; c < end; ++c) {
      if (!is_digit(*c)) return false;
      if (given < 100000) given = 10 * given + (*c - '0');
    }
    exponent += below ? -given : given;
  }
  // both factors are exact then, so that the only rounding is that of the result
  if (significant <= 18 && mantissa < (std::uint64_t(1) << 53) && exponent >= -22 &&
      exponent <= 22) {
    const double m = static_cast<double>(mantissa);
    const double x = exponent < 0 ? m / kPowers[-exponent] : m * kPowers[exponent];
    out = negative ? -x : x;
  } else {
    out = std::strtod(token.c_str(), nullptr);
  }
  return true;
}

void append_number(double x, std::string& out) {
#if defined(__cpp_lib_to_chars)
  char text[32];
  const auto done = std::to_chars(text, text + sizeof text, x);
  out.append(text, done.ptr);
#else
  std::ostringstream text;
  text.imbue(std::locale::classic());
  text.precision(std::numeric_limits<double>::max_digits10);
  text << x;
  out += text.str();
#endif
}

NumberReader::NumberReader(ByteSource& source)
    : source_(source), buffer_(kBufferBytes), line_(0) {}

int NumberReader::peek() {
  if (at_ == filled_) {
    at_ = 0;
    filled_ = source_.read(buffer_.data(), buffer_.size());
    if (filled_ == 0) return kEnd;
  }
  return static_cast<unsigned char>(buffer_[at_]);
}

void NumberReader::skip_blanks() {
  for (int c = peek(); c == ' ' || c == '\t'; c = peek()) ++at_;
}

bool NumberReader::ends_token(int c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == kEnd;
}

bool NumberReader::next_line() {
  field_ = 0;
  for (++line_;; ++line_) {
    skip_blanks();
    const int c = peek();
    if (c == kEnd) return false;
    if (c != '\n' && c != '\r') return true;
    ++at_;
    if (c == '\r' && peek() == '\n') ++at_;
  }
}

bool NumberReader::next(double& out) {
  skip_blanks();
  int c = peek();
  if (c == kEnd) throw Error("text_end", {{"line", double(line_)}});
  if (c == '\n' || c == '\r') {
    ++at_;
    if (c == '\r' && peek() == '\n') ++at_;
    return false;
  }
  ++field_;
  token_.clear();
  for (; !ends_token(c); c = peek()) {
    token_ += static_cast<char>(c);
    ++at_;
    if (token_.size() > kLongestToken) fail();
  }
  if (c == kEnd) throw Error("text_end", {{"line", double(line_)}});
  if (!parse_number(token_, out) || !std::isfinite(out)) fail();
  return true;
}

Index NumberReader::skip_line() {
  Index count = 0;
  for (double x; next(x);) ++count;
  return count;
}

void NumberReader::fail() const {
  throw Error("text_number", {{"line", double(line_)}, {"field", double(field_)}},
              printable(token_));
}

}  // namespace kinlmm
