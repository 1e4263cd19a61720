#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "bytes.h"
#include "check.h"
#include "core/number_text.h"
#include "core/random.h"

using namespace kinlmm;

namespace {

bool parses(const std::string& token, double expected) {
  double x = -1;
  return parse_number(token, x) && x == expected;
}

bool refused(const std::string& token) {
  double x;
  return !parse_number(token, x);
}

std::vector<std::vector<double>> lines(const std::string& text, std::size_t step = 2) {
  StringSource source(text, step);
  NumberReader in(source);
  std::vector<std::vector<double>> out;
  while (in.next_line()) {
    out.emplace_back();
    for (double x; in.next(x);) out.back().push_back(x);
  }
  return out;
}

}  // namespace

TEST(number_text_parses_numbers_and_nothing_else) {
  CHECK(parses("0", 0) && parses("-0.5", -0.5) && parses("+3.", 3) && parses(".25", .25));
  CHECK(parses("1e3", 1000) && parses("1.5E-3", 0.0015) && parses("2e+00", 2));
  CHECK(parses("123456789012345678901", 123456789012345678901.));
  CHECK(parses("0.1000000000000000055511151231257827", 0.1));
  CHECK(parses("1e-400", 0) && parses("1e999", HUGE_VAL) && parses("0e99999999999", 0));
  CHECK(std::signbit([] {
    double x;
    return parse_number("-0", x), x;
  }()));
  for (const char* bad : {"", "-", ".", "e5", "1e", "1e+", "1.2.3", "0x1p3", "nan", "NA",
                          "inf", "1,5", "1-2", "--1", "1 ", "1_000"}) {
    CHECK(refused(bad));
  }
  CHECK(refused(std::string("1\0", 2)) && refused(std::string("1\0002", 3)));
}

TEST(number_text_agrees_with_strtod) {
  Random random(1);
  for (int k = 0; k < 20000; ++k) {
    std::string token;
    const Index digits = 1 + random.below(20);
    const Index point = random.below(digits + 1);
    if (random.bernoulli(0.5)) token += '-';
    for (Index d = 0; d < digits; ++d) {
      if (d == point) token += '.';
      token += static_cast<char>('0' + random.below(10));
    }
    if (random.bernoulli(0.5)) token += "e" + std::to_string(random.below(60) - 30);
    CHECK(parses(token, std::strtod(token.c_str(), nullptr)));
  }
}

TEST(number_text_writes_what_reads_the_same) {
  Random random(2);
  for (int k = 0; k < 20000; ++k) {
    const std::uint64_t bits = random.bits();
    double x;
    std::memcpy(&x, &bits, sizeof x);
    if (!std::isfinite(x)) continue;
    std::string text;
    append_number(x, text);
    CHECK(parses(text, x));
  }
  std::string text;
  append_number(0, text);
  append_number(-2.5, text);
  CHECK(text == "0-2.5");
}

TEST(number_text_reads_lines) {
  const std::vector<std::vector<double>> expected = {{1, 2}, {3}, {4, 5, 6}};
  for (std::size_t step : {1u, 2u, 3u, 100u}) {
    CHECK(lines("1 2\n3\n4\t5 6\n", step) == expected);
    CHECK(lines("\n  1  2 \r\n\r\n3\r\n \t\r\n4 5 6\t\r\n\n  ", step) == expected);
    CHECK(lines("1 2\r3\r\r4 5 6\r", step) == expected);
  }
  CHECK(lines("").empty() && lines(" \n\r\n").empty());
}

TEST(number_text_says_where_it_failed) {
  CHECK_THROWS_KIND(lines("1 2"), "text_end");
  CHECK_THROWS_KIND(lines("1 2 "), "text_end");
  CHECK_THROWS_KIND(lines("1 nan\n"), "text_number");
  CHECK_THROWS_KIND(lines("1e999\n"), "text_number");
  CHECK_THROWS_KIND(lines(std::string(100000, '9') + "\n"), "text_number");
  try {
    lines("1 2\n\n3 a\x01\xe9{\n");
    CHECK(false);
  } catch (const Error& e) {
    CHECK(e.subject() == "a\\x01\\xe9{");
    CHECK(e.data()[0].second == 3 && e.data()[1].second == 2);
  }
}
