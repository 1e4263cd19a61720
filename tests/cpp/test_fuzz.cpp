// Damaged files: an Error or a result, and nothing that a sanitizer objects to.
// KINLMM_FUZZ says how many.

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <string>

#include "bytes.h"
#include "check.h"
#include "core/bed.h"
#include "core/grm_files.h"
#include "core/random.h"
#include "genotypes.h"

using namespace kinlmm;

namespace {

Index fuzz_count() {
  const char* asked = std::getenv("KINLMM_FUZZ");
  return asked ? std::atol(asked) : 2000;
}

// Bits flipped, a new header, cut, padded, a piece twice, line ends changed.
void damage(std::string& bytes, Random& random) {
  const auto place = [&] { return std::size_t(random.below(Index(bytes.size()) + 1)); };
  const auto byte = [&] { return static_cast<char>(random.below(256)); };
  for (Index times = 1 + random.below(3); times > 0; --times) {
    const Index kind = random.below(8);
    if (kind == 0) bytes.resize(place());
    if (kind == 1) bytes.append(std::size_t(1 + random.below(20)), byte());
    if (kind == 2) bytes.insert(place(), 1, byte());
    if (kind == 3) bytes.insert(place(), bytes.substr(place(), 20));
    if (bytes.empty()) continue;
    const auto inside = [&] { return std::size_t(random.below(Index(bytes.size()))); };
    if (kind == 4) bytes[inside()] ^= static_cast<char>(1 << random.below(8));
    if (kind == 5)
      bytes[std::min<std::size_t>(inside(), std::size_t(random.below(3)))] = byte();
    if (kind == 6) bytes.erase(inside(), std::size_t(1 + random.below(5)));
    if (kind == 7) {
      const char* ends[] = {"\r\n", "\r", "\n\n", "", "nan", "\t"};
      const std::size_t at = bytes.find('\n', inside());
      if (at != std::string::npos) bytes.replace(at, 1, ends[random.below(6)]);
    }
  }
}

// read(bytes) says whether its result is sound. Both outcomes must occur.
void fuzz(const char* what, const std::string& good,
          const std::function<bool(const std::string&)>& read) {
  CHECK(read(good));
  Index errors = 0, results = 0;
  for (Index k = 0; k < fuzz_count(); ++k) {
    Random random(7, static_cast<std::uint64_t>(k));
    std::string bytes = good;
    damage(bytes, random);
    try {
      if (!read(bytes)) {
        check::fail(__FILE__, __LINE__, std::string(what) + " " + std::to_string(k));
      }
      ++results;
    } catch (const Error&) {
      ++errors;
    }
  }
  CHECK(errors > 0 && results > 0);
}

Matrix kinship() {
  Matrix K(6, 6);
  for (Index j = 0; j < 6; ++j) {
    for (Index i = 0; i < 6; ++i) K(i, j) = 1 / (1 + std::abs(double(i - j)));
  }
  return K;
}

template <class Write>
std::string written(Write&& write) {
  StringSink sink;
  Monitor monitor;
  write(sink, monitor);
  return sink.text;
}

template <class Read>
bool sound(const std::string& bytes, Read&& read) {
  StringSource source(bytes, 11);
  Monitor monitor;
  Matrix K = Matrix::Constant(6, 6, std::nan(""));
  read(source, K, monitor);
  return K.allFinite();
}

}  // namespace

TEST(fuzz_bed) {
  const std::string path = "kinlmm-fuzz.bed",
                    good("\x6c\x1b\x01\xe4\x00\xff\x01\x22\x02", 9);
  fuzz("bed", good, [&](const std::string& bytes) {
    std::ofstream(path, std::ios::binary | std::ios::trunc)
        .write(bytes.data(), std::streamsize(bytes.size()));
    BedSource source(path, 5, 3, all(5), all(3));
    Matrix G(5, 3);
    source.read(0, 3, G);
    // a result is what the bytes say
    const double copies[4] = {2, kMissing, 1, 0};
    for (Index j = 0; j < 3; ++j) {
      for (Index i = 0; i < 5; ++i) {
        const auto byte =
            static_cast<unsigned char>(bytes[std::size_t(3 + 2 * j + i / 4)]);
        const double x = copies[byte >> (2 * (i % 4)) & 3];
        if (!(G(i, j) == x || (std::isnan(G(i, j)) && std::isnan(x)))) return false;
      }
    }
    return bytes.size() == 9;
  });
  std::remove(path.c_str());
}

TEST(fuzz_grm_bin) {
  const Matrix K = kinship();
  const auto layout = KinshipLayout::triangle;
  const auto width = NumberWidth::single;
  const std::string good = written([&](ByteSink& sink, Monitor& monitor) {
    write_binary_kinship(K, layout, width, sink, monitor);
  });
  fuzz("grm.bin", good, [&](const std::string& bytes) {
    return sound(bytes, [&](ByteSource& source, Matrix& out, Monitor& monitor) {
      read_binary_kinship(source, layout, width, out, monitor);
    });
  });
  fuzz("grm.N.bin", good, [&](const std::string& bytes) {
    return sound(bytes, [&](ByteSource& source, Matrix& out, Monitor& monitor) {
      PairCounts counts(6, [&] { return out.data(); });
      read_binary_counts(source, 6, counts, monitor);
      if (!counts.differ()) out.setConstant(counts.first());
    });
  });
}

TEST(fuzz_kinship_text) {
  const Matrix K = kinship();
  for (auto layout : {KinshipLayout::triangle, KinshipLayout::square}) {
    const std::string good = written([&](ByteSink& sink, Monitor& monitor) {
      write_text_matrix(K, layout, sink, monitor);
    });
    fuzz("rel", good, [&](const std::string& bytes) {
      return sound(bytes, [&](ByteSource& source, Matrix& out, Monitor& monitor) {
        read_text_matrix(source, true, out, monitor);
      });
    });
  }
}

TEST(fuzz_kinship_pairs) {
  const Matrix K = kinship();
  const std::string good = written([&](ByteSink& sink, Monitor& monitor) {
    write_pairs(K, Matrix::Constant(1, 1, 12), sink, monitor);
  });
  fuzz("grm.gz", good, [&](const std::string& bytes) {
    return sound(bytes, [&](ByteSource& source, Matrix& out, Monitor& monitor) {
      Matrix all(6, 6);
      PairCounts counts(6, [&] { return all.data(); });
      read_pairs(source, out, counts, monitor);
    });
  });
}
