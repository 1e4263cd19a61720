#include <limits>
#include <string>
#include <vector>

#include "bytes.h"
#include "check.h"
#include "core/grm_files.h"

using namespace kinlmm;

namespace {

Matrix kinship(Index n) {
  Matrix K(n, n);
  for (Index j = 0; j < n; ++j) {
    for (Index i = 0; i < n; ++i) K(i, j) = 1. / double(1 + i + j) - (i == j ? 0 : 0.25);
  }
  return K;
}

Matrix read_text(const std::string& text, Index n, Index k, bool triangle) {
  StringSource source(text);
  Monitor monitor;
  Matrix X = Matrix::Constant(n, k, -9);
  read_text_matrix(source, triangle, X, monitor);
  return X;
}

Matrix read_binary(const std::string& bytes, Index n, KinshipLayout layout,
                   NumberWidth width) {
  StringSource source(bytes, 7);
  Monitor monitor;
  Matrix K = Matrix::Constant(n, n, -9);
  read_binary_kinship(source, layout, width, K, monitor);
  return K;
}

std::string binary(const Matrix& K, KinshipLayout layout, NumberWidth width) {
  StringSink sink;
  Monitor monitor;
  write_binary_kinship(K, layout, width, sink, monitor);
  return sink.text;
}

struct Pairs {
  Matrix K, counts;
  double first = 0;
};

Pairs read_pair_lines(const std::string& text, Index n) {
  StringSource source(text);
  Monitor monitor;
  Pairs out;
  out.K.resize(n, n);
  PairCounts counts(n, [&] {
    out.counts.resize(n, n);
    return out.counts.data();
  });
  read_pairs(source, out.K, counts, monitor);
  out.first = counts.first();
  return out;
}

}  // namespace

TEST(grm_files_binary_round_trips) {
  for (Index n : {1, 2, 5, 130}) {
    const Matrix K = kinship(n), single = K.cast<float>().cast<double>();
    for (auto layout : {KinshipLayout::triangle, KinshipLayout::square}) {
      const std::string four = binary(K, layout, NumberWidth::single);
      const std::string eight = binary(K, layout, NumberWidth::twice);
      const Index numbers = layout == KinshipLayout::square ? n * n : n * (n + 1) / 2;
      CHECK(Index(four.size()) == 4 * numbers && Index(eight.size()) == 8 * numbers);
      CHECK(read_binary(four, n, layout, NumberWidth::single) == single);
      CHECK(read_binary(eight, n, layout, NumberWidth::twice) == K);
    }
  }
}

TEST(grm_files_binary_is_little_endian_by_rows_of_the_lower_triangle) {
  Matrix K(2, 2);
  K << 1, -2, -2, 0.5;
  const std::string bytes = binary(K, KinshipLayout::triangle, NumberWidth::single);
  CHECK(bytes == std::string("\x00\x00\x80\x3f\x00\x00\x00\xc0\x00\x00\x00\x3f", 12));
}

TEST(grm_files_zeros_above_the_diagonal_are_mirrored) {
  Matrix K = kinship(70);
  const Matrix lower = K.triangularView<Eigen::Lower>();
  const std::string bytes =
      binary(lower.transpose(), KinshipLayout::square, NumberWidth::twice);
  CHECK(read_binary(bytes, 70, KinshipLayout::square, NumberWidth::twice) == K);
  Matrix twisted(2, 2);
  twisted << 1, 3, 0, 1;
  CHECK(read_text("1 3\n0 1\n", 2, 2, true) == twisted);
  CHECK(read_text("1 0\n3 1\n", 2, 2, true)(0, 1) == 3);
  CHECK(read_text("1 0\n3 1\n", 2, 2, false)(0, 1) == 0);
}

TEST(grm_files_binary_refuses_what_is_no_kinship) {
  const std::string bytes =
      binary(kinship(3), KinshipLayout::triangle, NumberWidth::single);
  CHECK_THROWS_KIND(
      read_binary(bytes.substr(0, 23), 3, KinshipLayout::triangle, NumberWidth::single),
      "kin_short");
  Matrix K = kinship(3);
  K(2, 2) = 1e39;
  CHECK_THROWS_KIND(binary(K, KinshipLayout::triangle, NumberWidth::single), "kin_value");
  for (double bad : {std::numeric_limits<double>::infinity(),
                     std::numeric_limits<double>::quiet_NaN()}) {
    K(2, 2) = bad;
    CHECK_THROWS_KIND(binary(K, KinshipLayout::square, NumberWidth::twice), "kin_value");
  }
  const std::string nan("\x00\x00\xc0\x7f", 4);
  CHECK_THROWS_KIND(read_binary(nan, 1, KinshipLayout::triangle, NumberWidth::single),
                    "kin_value");
}

TEST(grm_files_text_round_trips) {
  for (Index n : {1, 2, 5, 70}) {
    const Matrix K = kinship(n);
    for (auto layout : {KinshipLayout::triangle, KinshipLayout::square}) {
      StringSink sink;
      Monitor monitor;
      write_text_matrix(K, layout, sink, monitor);
      CHECK(read_text(sink.text, n, n, true) == K);
    }
  }
  const Matrix X = kinship(4).leftCols(2);
  StringSink sink;
  Monitor monitor;
  write_text_matrix(X, KinshipLayout::square, sink, monitor);
  CHECK(read_text(sink.text, 4, 2, false) == X);
}

TEST(grm_files_text_counts_lines_and_fields) {
  for (const char* text :
       {"1 2\n2 1 3\n", "1 2 3\n2 1\n", "1 2\n2\n", "1\n2\n", "1\n2 1 1\n"}) {
    CHECK_THROWS_KIND(read_text(text, 2, 2, true), "kin_fields");
  }
  CHECK_THROWS_KIND(read_text("1\n2 1\n", 2, 2, false), "kin_fields");
  for (const char* text : {"", "\n", "1 2\n", "1\n", "1 2\n2 1\n1 2\n", "1\n2 1\n3\n"}) {
    CHECK_THROWS_KIND(read_text(text, 2, 2, true), "kin_rows");
  }
}

TEST(grm_files_pairs_come_in_any_order_once) {
  Matrix K(2, 2);
  K << 1, 3, 3, 2;
  for (const char* text :
       {"1 1 5 1\n2 1 5 3\n2 2 5 2\n", "2 2 5 2\n1 2 5 3\n\n1 1 5 1\r\n"}) {
    const Pairs got = read_pair_lines(text, 2);
    CHECK(got.K == K && got.first == 5 && got.counts.size() == 0);
  }
  const Pairs got = read_pair_lines("1 1 5 1\n2 1 6 3\n2 2 5 2\n", 2);
  Matrix counts(2, 2);
  counts << 5, 6, 6, 5;
  CHECK(got.K == K && got.counts == counts);
  StringSink sink;
  Monitor monitor;
  write_pairs(K, counts, sink, monitor);
  CHECK(sink.text == "1\t1\t5\t1\n2\t1\t6\t3\n2\t2\t5\t2\n");
  sink.text.clear();
  write_pairs(K, Matrix::Constant(1, 1, 7), sink, monitor);
  CHECK(read_pair_lines(sink.text, 2).first == 7);
}

TEST(grm_files_pairs_refuse_what_is_no_kinship) {
  for (const char* text : {"0 1 5 1\n", "3 1 5 1\n", "1.5 1 5 1\n", "1e300 1 5 1\n",
                           "-1 1 5 1\n", "1 1 5 1\n1 1 5 1\n", "2 1 5 1\n1 2 5 1\n"}) {
    CHECK_THROWS_KIND(read_pair_lines(text, 2), "kin_pair");
  }
  CHECK_THROWS_KIND(read_pair_lines("1 1 5 1\n2 1 5 3\n", 2), "kin_rows");
  CHECK_THROWS_KIND(read_pair_lines("1 1 5 1\n1 1 5 1\n", 1), "kin_rows");
  CHECK_THROWS_KIND(read_pair_lines("1 1 5\n", 1), "kin_fields");
  CHECK_THROWS_KIND(read_pair_lines("1 1 5 1 1\n", 1), "kin_fields");
  CHECK_THROWS_KIND(read_pair_lines("1 1 -5 1\n", 1), "kin_count");
}

TEST(grm_files_counts) {
  StringSink sink;
  Monitor monitor;
  write_constant_counts(3, 12, sink, monitor);
  const Matrix counts = kinship(3).cwiseAbs();
  const auto read = [&](const std::string& bytes) {
    StringSource source(bytes);
    Matrix made(3, 3);
    PairCounts out(3, [&] { return made.data(); });
    read_binary_counts(source, 3, out, monitor);
    return out.differ() ? made : Matrix(Matrix::Constant(1, 1, out.first()));
  };
  CHECK(read(sink.text) == Matrix(Matrix::Constant(1, 1, 12)));
  const Matrix single = counts.cast<float>().cast<double>();
  CHECK(read(binary(counts, KinshipLayout::triangle, NumberWidth::single)) == single);
  CHECK_THROWS_KIND(read(sink.text.substr(1)), "kin_short");
  CHECK_THROWS_KIND(read(binary(-counts, KinshipLayout::triangle, NumberWidth::single)),
                    "kin_count");
}
