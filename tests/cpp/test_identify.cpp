#include <Eigen/QR>
#include <cstdlib>
#include <vector>

#include "check.h"
#include "core/identify.h"

using namespace kinlmm;

namespace {

// Factors with q levels and k effects; the last may repeat the one before it.
struct Design {
  Matrix X, Xy;
  std::vector<FactorRows> rows;
  BlockedData data;
  Design(Index n, const std::vector<Index>& q, const std::vector<Index>& k,
         bool repeated = false) {
    std::srand(7);
    Matrix columns = Matrix::Random(n, 2);
    columns.col(0).setOnes();
    X = Eigen::HouseholderQR<Matrix>(columns).householderQ() * Matrix::Identity(n, 2);
    Xy.resize(n, 3);
    Xy << X, Vector::Random(n);
    for (std::size_t f = 0; f < q.size(); ++f) {
      FactorRows factor;
      factor.q = q[f];
      factor.Z = Matrix::Random(n, k[f]);
      factor.Z.col(0).setOnes();
      for (Index i = 0; i < n; ++i) {
        factor.level.push_back(static_cast<int>(i < q[f] ? i : std::rand() % q[f]));
      }
      if (repeated && f + 1 == q.size()) factor.level = rows[f - 1].level;
      rows.push_back(factor);
    }
    data = blocked_data(rows, Xy);
    for (std::size_t f = 0; f < q.size(); ++f) {
      data.sizes.push_back(static_cast<int>(k[f]));
      data.factors[f].terms = {static_cast<int>(f)};
    }
  }
  // dH/dpsi, for every component.
  std::vector<Matrix> G() const {
    std::vector<Matrix> out;
    for (const FactorRows& factor : rows) {
      for (Index c = 0; c < factor.Z.cols(); ++c) {
        for (Index r = c; r < factor.Z.cols(); ++r) {
          Matrix sum = Matrix::Zero(X.rows(), X.rows());
          for (Index i = 0; i < X.rows(); ++i) {
            for (Index j = 0; j < X.rows(); ++j) {
              const auto at = static_cast<std::size_t>(i),
                         to = static_cast<std::size_t>(j);
              if (factor.level[at] != factor.level[to]) continue;
              sum(i, j) = factor.Z(i, r) * factor.Z(j, c);
              if (r != c) sum(i, j) += factor.Z(i, c) * factor.Z(j, r);
            }
          }
          out.push_back(sum);
        }
      }
    }
    return out;
  }
};

void check_products(const Design& design) {
  const Index n = design.X.rows();
  const Matrix P = Matrix::Identity(n, n) - design.X * design.X.transpose();
  std::vector<Matrix> G = design.G();
  const ComponentProducts at = component_products(design.data);
  CHECK(at.sizes.size() == static_cast<Index>(G.size()));
  for (Index c = 0; c < at.sizes.size(); ++c) {
    CHECK_NEAR(at.sizes(c) / G[static_cast<std::size_t>(c)].squaredNorm(), 1, 1e-12);
  }
  G.push_back(P);
  for (std::size_t c = 0; c < G.size(); ++c) {
    for (std::size_t d = 0; d < G.size(); ++d) {
      const double value = (P * G[c] * P).cwiseProduct(P * G[d] * P).sum();
      CHECK_NEAR(at.products(static_cast<Index>(c), static_cast<Index>(d)) / value, 1,
                 1e-9);
    }
  }
}

}  // namespace

TEST(products_of_the_components_are_those_of_the_dense_matrices) {
  check_products(Design(40, {7}, {1}));
  check_products(Design(60, {7}, {3}));
  check_products(Design(60, {9, 4}, {2, 1}));
  check_products(Design(80, {9, 4, 5}, {1, 3, 2}));
}

TEST(components_that_are_the_same_are_doubtful) {
  CHECK(!doubtful(component_products(Design(60, {9, 4}, {1, 1}).data)));
  CHECK(doubtful(component_products(Design(60, {9, 9}, {1, 1}, true).data)));
  CHECK(doubtful(component_products(Design(80, {9, 4, 4}, {1, 2, 1}, true).data)));
}
