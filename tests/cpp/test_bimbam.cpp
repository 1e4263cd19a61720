#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "check.h"
#include "core/bimbam.h"
#include "core/random.h"
#include "genotypes.h"

using namespace kinlmm;

namespace {

const std::string kPath = "test_bimbam.tmp";

void write(const std::string& text) {
  std::ofstream(kPath, std::ios::binary) << text;
}

BimbamIndex index_of(const std::string& text) {
  write(text);
  Monitor monitor;
  return index_bimbam(kPath, monitor);
}

Matrix read_all(const std::string& text) {
  const BimbamIndex index = index_of(text);
  const Index m = static_cast<Index>(index.id.size());
  BimbamSource source(kPath, index.samples, index.offsets, all(index.samples), all(m), 2);
  Matrix out(index.samples, m);
  source.read(0, m, out);
  return out;
}

bool parses(const std::string& text, double& value) {
  return parse_dosage(text.data(), text.data() + text.size(), value);
}

}  // namespace

TEST(bimbam_numbers_are_those_of_strtod) {
  double value;
  for (const char* text :
       {"0", "2", "1.", ".5", "0.1", "1.99999999999999", "0.123456789012345678901",
        "1e-3", "1E+0", "0.30000000000000004", "00000000000000000001.5", "+1",
        "0.0000000000000000000000000000001", "179769313486231570000", "9007199254740993",
        "-0.5", "0.9007199254740993"}) {
    CHECK(parses(text, value) && value == std::strtod(text, nullptr));
  }
  CHECK(parses("NA", value) && std::isnan(value));
  for (const char* text :
       {"", ".", "a", "1a", "1 ", "1.2.3", "NAN", "na", "-", "1e", "e5", "--1", "1,5"}) {
    CHECK(!parses(text, value));
  }
}

TEST(bimbam_numbers_at_random) {
  Random random(4);
  for (int k = 0; k < 20000; ++k) {
    char text[64];
    std::snprintf(text, sizeof text, "%.*f", k % 20, 2 * random.uniform());
    double value = -1;
    CHECK(parses(text, value) && value == std::strtod(text, nullptr));
  }
}

TEST(bimbam_separators_and_line_ends) {
  const Matrix expected = (Matrix(3, 2) << 0, 2, 1, 0.5, kMissing, 1).finished();
  for (const char* text :
       {"r1,A,G,0,1,NA\nr2,C,T,2,.5,1\n", "r1 A G 0 1 NA\nr2 C T 2 .5 1",
        "\n r1 , A\tG ,0 ,1 , NA,\r\n\r\n\nr2\tC\tT\t2\t.5\t1.0 , \r\n \n"}) {
    const Matrix got = read_all(text);
    CHECK(got.rows() == 3 && got.cols() == 2);
    for (Index i = 0; i < 6; ++i) {
      const double a = got.data()[i], b = expected.data()[i];
      CHECK(a == b || (std::isnan(a) && std::isnan(b)));
    }
  }
  const BimbamIndex index = index_of("r1,A,G,0\nr2,C,T,2");
  CHECK(index.id[1] == "r2" && index.a1[1] == "C" && index.a2[0] == "G");
  CHECK(index.offsets == std::vector<double>({0, 9, 17}));
}

TEST(bimbam_errors) {
  CHECK_THROWS_KIND(index_of(""), "bimbam_empty");
  CHECK_THROWS_KIND(index_of(" \n\r\n"), "bimbam_empty");
  CHECK_THROWS_KIND(index_of("r1 A G\n"), "bimbam_columns");
  CHECK_THROWS_KIND(index_of(std::string("r1 A G 1\nr\0 A G 1\n", 18)), "bimbam_nul");
  CHECK_THROWS_KIND(index_of("r1 A G 1\nr2 A G 1 1"), "bimbam_columns");
  for (const char* bad : {"2.01", "-1", "x", "inf", "nan"}) {
    CHECK_THROWS_KIND(read_all("r1 A G 1 " + std::string(bad)), "bimbam_value");
  }
  CHECK_THROWS_KIND(read_all("r1,A,G,,1"), "bimbam_value");
  try {
    read_all("r1 A G 1 1\n\nr2 A G 0 7\nr3 A G 7 0");
  } catch (const Error& e) {
    CHECK(e.data()[0].second == 3 && e.data()[1].second == 5);
  }
  const BimbamIndex index = index_of("r1 A G 1\nr2 A G 1\n");
  write("r1 A G 1\n");
  CHECK_THROWS_KIND(BimbamSource(kPath, 1, index.offsets, {0}, {0, 1}, 1),
                    "bimbam_changed");
  write("r1 A G 1 \n2 A G 1\n");
  BimbamSource shifted(kPath, 1, index.offsets, {0}, {0, 1}, 1);
  Matrix out(1, 2);
  CHECK_THROWS_KIND(shifted.read(0, 2, out), "bimbam_changed");
  std::remove(kPath.c_str());
  CHECK_THROWS_KIND(BimbamSource(kPath, 1, index.offsets, {0}, {0}, 1), "bimbam_missing");
}

TEST(bimbam_reads_any_order_and_counts) {
  const BimbamIndex index = index_of("a A G 0 1 2\nb A G 2 NA 0\nc A G 1 1 .5\n");
  BimbamSource source(kPath, 3, index.offsets, {2, 0}, {1, 0, 1, 2}, 2);
  std::vector<std::uint8_t> counts(6);
  CHECK(source.read_counts(0, 3, counts.data()));
  CHECK(counts == std::vector<std::uint8_t>({0, 2, 2, 0, 0, 2}));
  CHECK(!source.read_counts(3, 1, counts.data()));
  Matrix out(2, 1);
  source.read(3, 1, out);
  CHECK(out(0, 0) == 0.5 && out(1, 0) == 1);
  source.read(1, 1, out);
  CHECK(out(0, 0) == 2 && out(1, 0) == 0);
  std::remove(kPath.c_str());
}

// A damaged file is an error, or dosages all the same.
TEST(bimbam_survives_damage) {
  const std::string good =
      "rs1, A, G, 0, 1, 2\nrs2 A G .25 NA 1e-1\r\nrs3\tT\tC\t2\t0\t1\n";
  const std::string bytes = "0129.,-+eEN A\t\r\n\0x\xff";
  Random random(5);
  Index read = 0, refused = 0;
  for (int k = 0; k < 3000; ++k) {
    std::string text = good;
    for (int change = 0; change < 1 + k % 4; ++change) {
      const auto at = static_cast<std::size_t>(random.uniform() * (text.size() - 1));
      const char byte = bytes[static_cast<std::size_t>(random.uniform() * 16)];
      if (k % 3 == 0) {
        text[at] = byte;
      } else if (k % 3 == 1) {
        text.insert(at, 1, byte);
      } else {
        text.erase(at, 1 + static_cast<std::size_t>(random.uniform() * 9));
      }
    }
    try {
      const Matrix out = read_all(text);
      for (Index i = 0; i < out.size(); ++i) {
        CHECK(std::isnan(out.data()[i]) || (out.data()[i] >= 0 && out.data()[i] <= 2));
      }
      ++read;
    } catch (const Error&) {
      ++refused;
    }
  }
  std::remove(kPath.c_str());
  CHECK(read > 100 && refused > 100);
}

TEST(bimbam_places_outside_of_the_file) {
  const BimbamIndex index = index_of("a A G 0 1 2\nb A G 2 NA 0\n");
  CHECK_THROWS_KIND(BimbamSource(kPath, 3, index.offsets, {3}, {0}, 1), "bimbam_index");
  CHECK_THROWS_KIND(BimbamSource(kPath, 3, index.offsets, {0}, {2}, 1), "bimbam_index");
  CHECK_THROWS_KIND(BimbamSource(kPath, 3, index.offsets, {0}, {-1}, 1), "bimbam_index");
  std::remove(kPath.c_str());
}
