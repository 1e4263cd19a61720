#include <cmath>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "check.h"
#include "core/bed.h"
#include "genotypes.h"

using namespace kinlmm;

namespace {

// A file in the working directory that lives as long as the object.
class TestFile {
 public:
  explicit TestFile(const std::vector<int>& bytes) {
    std::ofstream out(path, std::ios::binary);
    for (int byte : bytes) out.put(static_cast<char>(byte));
  }
  ~TestFile() { std::remove(path.c_str()); }
  const std::string path = "kinlmm-test.bed";
};

bool same(double a, double b) {
  return a == b || (std::isnan(a) && std::isnan(b));
}

// Five samples, three markers: 2 NA 1 0 2 | 0 0 0 0 NA | 1 2 1 2 1.
std::vector<int> small_file() {
  return {0x6c, 0x1b, 0x01, 0xe4, 0x00, 0xff, 0x01, 0x22, 0x02};
}

Matrix small_genotypes() {
  Matrix G(5, 3);
  G << 2, 0, 1, kMissing, 0, 2, 1, 0, 1, 0, 0, 2, 2, kMissing, 1;
  return G;
}

bool reads_as(const std::vector<Index>& samples, const std::vector<Index>& markers,
              int threads) {
  const TestFile file(small_file());
  const Matrix G = small_genotypes();
  BedSource source(file.path, 5, 3, samples, markers, threads);
  Matrix got(source.samples(), source.markers());
  source.read(0, source.markers(), got);
  for (Index j = 0; j < got.cols(); ++j) {
    for (Index i = 0; i < got.rows(); ++i) {
      if (!same(got(i, j), G(samples[i], markers[j]))) return false;
    }
  }
  return true;
}

BedSource open(const std::vector<int>& bytes, Index n, Index m) {
  const TestFile file(bytes);
  return BedSource(file.path, n, m, all(n), all(m));
}

}  // namespace

TEST(bed_decodes_the_four_codes) {
  CHECK(reads_as(all(5), all(3), 1));
  CHECK(reads_as(all(5), all(3), 2));
}

TEST(bed_takes_any_order_and_repeats) {
  CHECK(reads_as({4, 0, 0, 3}, {2, 0, 1, 1, 2}, 1));
  CHECK(reads_as({1}, {1, 2}, 2));
  CHECK(reads_as({}, {0}, 1));
  CHECK(reads_as({0, 1, 2, 3}, {}, 1));
}

TEST(bed_reads_from_the_middle) {
  const TestFile file(small_file());
  BedSource source(file.path, 5, 3, all(5), all(3));
  Matrix out = Matrix::Constant(5, 4, -1);
  source.read(1, 2, out.middleCols(1, 2));
  CHECK(out(0, 0) == -1 && out(0, 3) == -1);
  CHECK(out(0, 1) == 0 && out(1, 2) == 2 && std::isnan(out(4, 1)));
}

TEST(bed_reads_markers_beyond_one_buffer) {
  const Index n = 40000000, m = 3;  // a marker takes 10 MB, the buffer holds one
  std::vector<int> header = {0x6c, 0x1b, 0x01};
  const TestFile file(header);
  {
    std::ofstream out(file.path, std::ios::binary | std::ios::app);
    for (Index j = 0; j < m; ++j) out << std::string(n / 4, j == 1 ? '\xaa' : '\xff');
  }
  BedSource source(file.path, n, m, {0, n - 1}, all(m));
  Matrix out(2, m);
  source.read(0, m, out);
  CHECK(out.col(0).isZero() && out.col(2).isZero() && (out.col(1).array() == 1).all());
}

TEST(bed_checks_each_magic_byte) {
  CHECK_THROWS_KIND(open({0x6d, 0x1b, 0x01, 0}, 4, 1), "bed_magic");
  CHECK_THROWS_KIND(open({0x6c, 0x1c, 0x01, 0}, 4, 1), "bed_magic");
  CHECK_THROWS_KIND(open({0x6c, 0x1b, 0x00, 0}, 4, 1), "bed_mode");
  CHECK_THROWS_KIND(open({0x6c, 0x1b, 0x10, 0}, 4, 1), "bed_mode");
  CHECK_THROWS_KIND(open({0x6c, 0x1b, 0x81, 0}, 4, 1), "bed_mode");
  CHECK(open({0x6c, 0x1b, 0x01, 0}, 4, 1).markers() == 1);
}

TEST(bed_reports_the_bytes_that_it_found) {
  try {
    open({0x1f, 0x8b, 0x08, 0}, 4, 1);
  } catch (const Error& e) {
    CHECK(e.data().size() == 3);
    CHECK(e.data()[0].second == 0x1f && e.data()[1].second == 0x8b);
    CHECK(e.data()[2].second == 0x08 && e.data()[2].first == "b2");
  }
}

TEST(bed_checks_the_exact_size) {
  const std::vector<int> good = small_file();
  for (std::size_t size = 0; size < good.size(); ++size) {
    const std::vector<int> cut(good.begin(), good.begin() + static_cast<long>(size));
    CHECK_THROWS_KIND(open(cut, 5, 3), "bed_size");
  }
  std::vector<int> longer = good;
  longer.push_back(0);
  CHECK_THROWS_KIND(open(longer, 5, 3), "bed_size");
  try {
    open(longer, 5, 3);
  } catch (const Error& e) {
    CHECK(e.data()[0].second == 9 && e.data()[1].second == 10);
  }
}

TEST(bed_needs_its_file_and_indices_within_it) {
  CHECK_THROWS_KIND(BedSource("no-such-file.bed", 4, 1, {}, {}), "bed_missing");
  const TestFile file(small_file());
  CHECK_THROWS_KIND(BedSource(file.path, 5, 3, {5}, {0}), "bed_index");
  CHECK_THROWS_KIND(BedSource(file.path, 5, 3, {0}, {-1}), "bed_index");
}

TEST(bed_notices_a_file_that_shrinks_while_open) {
  const TestFile file(small_file());
  BedSource source(file.path, 5, 3, all(5), all(3));
  std::ofstream(file.path, std::ios::binary | std::ios::trunc) << "lost";
  Matrix out(5, 3);
  CHECK_THROWS_KIND(source.read(0, 3, out), "bed_read");
}
