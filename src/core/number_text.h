// Numbers in text: read strictly, written so that reading gives the same number back.
#pragma once

#include <string>
#include <vector>

#include "core/bytes.h"
#include "core/types.h"

namespace kinlmm {

// Lines of numbers between spaces or tabs. Lines end with LF, CR LF or CR; empty ones are
// skipped. Throws Error: text_number (line, field; subject: what is there instead of a
// finite number, as printable ASCII), text_end (line) if the last line does not end,
// since what was cut off a number can't be seen.
class NumberReader {
 public:
  explicit NumberReader(ByteSource& source);
  // Moves to the next line that is not empty; false at the end. Only between lines.
  bool next_line();
  // The next number of this line; false at its end, after which comes next_line().
  bool next(double& out);
  // 1-based: of the line in the file, and of the number that next() gave last.
  Index line() const { return line_; }
  Index field() const { return field_; }
  // Numbers left in this line, which is thereby read.
  Index skip_line();

 private:
  int peek();
  void skip_blanks();
  // A character of the token that was begun in token_.
  static bool ends_token(int c);
  [[noreturn]] void fail() const;

  ByteSource& source_;
  std::vector<char> buffer_;
  std::size_t at_ = 0, filled_ = 0;
  Index line_ = 1, field_ = 0;
  std::string token_;
};

// A decimal number with an optional exponent, and nothing else; false if it is none. A
// number beyond the range of doubles becomes infinite.
bool parse_number(const std::string& token, double& out);

// The shortest text that parse_number() makes x of, where the compiler's library knows
// it; otherwise 17 digits.
void append_number(double x, std::string& out);

}  // namespace kinlmm
