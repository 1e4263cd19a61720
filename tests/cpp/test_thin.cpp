#include <algorithm>
#include <vector>

#include "check.h"
#include "core/random.h"
#include "core/thin.h"

using namespace kinlmm;

namespace {

struct Data {
  std::vector<std::uint8_t> counts;
  ThinBlock block;
  Matrix Z, X;
};

void simulate(Index n, Index m, Index k, Data& out) {
  Random random(1);
  out.counts.resize(static_cast<std::size_t>(n * m));
  for (auto& count : out.counts) count = static_cast<std::uint8_t>(random.below(4));
  out.Z.resize(n, m);
  out.X = Matrix::NullaryExpr(n, k, [&](Index, Index) { return random.normal(); });
  out.block.n = n;
  for (Index s = 0; s < m; ++s) {
    const double mean = 2 * random.uniform(), scale = 1 + random.uniform();
    out.block.counts.push_back(out.counts.data() + s * n);
    out.block.values.push_back(
        {-mean * scale, (1 - mean) * scale, (2 - mean) * scale, 0});
    for (Index i = 0; i < n; ++i)
      out.Z(i, s) = out.block.values[s][out.counts[s * n + i]];
  }
}

template <class Value>
void products(const ThinBlock& Z, const Matrix& X, Instructions with, int threads,
              Matrix& T, Matrix& Y) {
  ThinRows<double> t(Z.size(), X.cols()), y(Z.n, X.cols());
  add_thin_products<Value>(Z, ThinRows<Value>(X), with, threads, t, y);
  T = t.matrix();
  Y = y.matrix();
}

const Instructions kSets[] = {Instructions::portable, Instructions::avx2,
                              Instructions::automatic};

}  // namespace

TEST(thin_products_agree_with_their_definition) {
  for (const Index n : {1, 95, 96, 480, 1003}) {
    for (const Index m : {1, 47, 48, 100}) {
      for (const Index k : {1, 16, 21}) {
        Data data;
        simulate(n, m, k, data);
        const Matrix T = data.Z.transpose() * data.X, Y = data.Z * T;
        const double t_size = std::max(1.0, T.cwiseAbs().maxCoeff());
        const double y_size = std::max(1.0, Y.cwiseAbs().maxCoeff());
        for (const Instructions with : kSets) {
          Matrix t, y;
          products<double>(data.block, data.X, with, 2, t, y);
          CHECK_NEAR((t - T).cwiseAbs().maxCoeff() / t_size, 0, 1e-13);
          CHECK_NEAR((y - Y).cwiseAbs().maxCoeff() / y_size, 0, 1e-13);
          products<float>(data.block, data.X, with, 2, t, y);
          CHECK_NEAR((t - T).cwiseAbs().maxCoeff() / t_size, 0, 2e-6);
          CHECK_NEAR((y - Y).cwiseAbs().maxCoeff() / y_size, 0, 4e-6);
        }
      }
    }
  }
}

TEST(thin_products_of_values_are_those_of_counts) {
  Data data;
  simulate(501, 77, 16, data);
  ThinBlock values;
  values.n = 501;
  for (Index s = 0; s < 77; ++s) values.columns.push_back(data.Z.col(s).data());
  Matrix T, Y, t, y;
  products<double>(data.block, data.X, Instructions::automatic, 1, T, Y);
  products<double>(values, data.X, Instructions::automatic, 1, t, y);
  CHECK(t == T && y == Y);
}

TEST(thin_products_do_not_depend_on_threads) {
  Data data;
  simulate(1003, 301, 16, data);
  for (const Instructions with : kSets) {
    Matrix T, Y, t, y;
    products<float>(data.block, data.X, with, 1, T, Y);
    products<float>(data.block, data.X, with, 3, t, y);
    CHECK(t == T && y == Y);
  }
}
