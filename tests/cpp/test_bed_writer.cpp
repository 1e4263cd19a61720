#include <cmath>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "check.h"
#include "core/bed.h"
#include "core/bed_writer.h"
#include "genotypes.h"

using namespace kinlmm;

namespace {

const std::string kPath = "kinlmm-test-writer.bed";

std::vector<unsigned char> written() {
  std::ifstream in(kPath, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(in)),
                         std::istreambuf_iterator<char>());
  return std::vector<unsigned char>(text.begin(), text.end());
}

void write_matrix(const Matrix& G, Index block, int threads) {
  MatrixSource source(G, all(G.rows()), all(G.cols()));
  Monitor monitor;
  BedWriter out(kPath, G.rows());
  write_genotypes(source, out, block, threads, monitor);
  out.close();
}

}  // namespace

TEST(bed_writer_packs_four_a_byte) {
  // five samples, three markers: 2 NA 1 0 2 | 0 0 0 0 NA | 1 2 1 2 1
  const std::vector<Call> calls = {2, -1, 1, 0, 2, 0, 0, 0, 0, -1, 1, 2, 1, 2, 1};
  BedWriter out(kPath, 5);
  out.write(calls.data(), 1, 1);
  out.write(calls.data() + 5, 2, 2);
  out.close();
  const std::vector<unsigned char> expected = {0x6c, 0x1b, 0x01, 0xe4, 0x00,
                                               0xff, 0x01, 0x22, 0x02};
  CHECK(written() == expected);
  std::remove(kPath.c_str());
}

TEST(bed_writer_is_read_back) {
  for (Index n : {1, 4, 9}) {
    Matrix G(n, 11);
    for (Index k = 0; k < G.size(); ++k) {
      const Index code = (k * k + k / 3) % 4;
      G.data()[k] = code == 3 ? kMissing : static_cast<double>(code);
    }
    for (Index block : {1, 4, 100}) {
      write_matrix(G, block, 2);
      BedSource source(kPath, n, 11, all(n), all(11));
      Matrix got(n, 11);
      source.read(0, 11, got);
      for (Index k = 0; k < G.size(); ++k) {
        const double a = G.data()[k], b = got.data()[k];
        CHECK(a == b || (std::isnan(a) && std::isnan(b)));
      }
    }
  }
  std::remove(kPath.c_str());
}

TEST(bed_writer_names_the_first_dosage) {
  Matrix G = Matrix::Zero(3, 5);
  G(2, 3) = 0.5;
  G(1, 4) = 3;
  try {
    write_matrix(G, 2, 2);
    CHECK(false);
  } catch (const Error& e) {
    CHECK(e.kind() == "bed_dosage");
    CHECK(e.data()[0].second == 2 && e.data()[1].second == 3);
    CHECK(e.data()[2].second == 0.5);
  }
  std::remove(kPath.c_str());
}

TEST(bed_writer_needs_a_place) {
  CHECK_THROWS_KIND(BedWriter("no-such-folder/x.bed", 3), "bed_write");
}
