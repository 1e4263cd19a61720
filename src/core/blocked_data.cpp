#include "core/blocked_data.h"

#include <Eigen/QR>
#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

#include "core/covariance.h"

namespace kinlmm {

namespace {

// Rows of one factor, level by level.
struct Sorted {
  std::vector<int> start;  // q + 1
  std::vector<int> row;
};
Sorted sort_rows(const FactorRows& factor) {
  Sorted out;
  out.start.assign(static_cast<std::size_t>(factor.q) + 1, 0);
  for (int level : factor.level) ++out.start[static_cast<std::size_t>(level) + 1];
  std::partial_sum(out.start.begin(), out.start.end(), out.start.begin());
  out.row.resize(factor.level.size());
  std::vector<int> at(out.start.begin(), out.start.end() - 1);
  for (std::size_t i = 0; i < factor.level.size(); ++i) {
    out.row[static_cast<std::size_t>(at[static_cast<std::size_t>(factor.level[i])]++)] =
        static_cast<int>(i);
  }
  return out;
}

// Cross-products of two factors: for each level of f the levels of g that it meets, in
// increasing order, and Z_f'Z_g, k_f x k_g side by side.
struct Cross {
  std::vector<int> start, level;
  std::vector<double> value;
};
Cross cross_products(const FactorRows& f, const Sorted& sorted, const FactorRows& g) {
  Cross out;
  const Index kf = f.Z.cols(), kg = g.Z.cols();
  const auto size = static_cast<std::size_t>(kf * kg);
  std::vector<int> place(static_cast<std::size_t>(g.q), -1), met;
  std::vector<double> sums;
  out.start.push_back(0);
  for (Index j = 0; j < f.q; ++j) {
    met.clear();
    sums.clear();
    for (int at = sorted.start[static_cast<std::size_t>(j)];
         at < sorted.start[static_cast<std::size_t>(j) + 1]; ++at) {
      const int i = sorted.row[static_cast<std::size_t>(at)];
      const int level = g.level[static_cast<std::size_t>(i)];
      int& to = place[static_cast<std::size_t>(level)];
      if (to < 0) {
        to = static_cast<int>(met.size());
        met.push_back(level);
        sums.resize(sums.size() + size, 0.0);
      }
      double* block = sums.data() + static_cast<std::size_t>(to) * size;
      for (Index b = 0; b < kg; ++b) {
        for (Index a = 0; a < kf; ++a) *block++ += f.Z(i, a) * g.Z(i, b);
      }
    }
    std::vector<int> order = met;
    std::sort(order.begin(), order.end());
    for (int level : order) {
      const double* block =
          sums.data() +
          static_cast<std::size_t>(place[static_cast<std::size_t>(level)]) * size;
      out.level.push_back(level);
      out.value.insert(out.value.end(), block, block + size);
    }
    for (int level : met) place[static_cast<std::size_t>(level)] = -1;
    out.start.push_back(static_cast<int>(out.level.size()));
  }
  return out;
}

// Z_j'[Z_j] and Z_j'[X y] of every level.
void own_products(const FactorRows& f, const ConstMatrixRef& Xy, Matrix& A, Matrix& B) {
  const Index k = f.Z.cols(), width = Xy.cols();
  A = Matrix::Zero(k, k * f.q);
  B = Matrix::Zero(k, width * f.q);
  for (Index i = 0; i < Xy.rows(); ++i) {
    const Index j = f.level[static_cast<std::size_t>(i)];
    for (Index a = 0; a < k; ++a) {
      const double z = f.Z(i, a);
      for (Index b = 0; b < k; ++b) A(a, j * k + b) += z * f.Z(i, b);
      for (Index b = 0; b < width; ++b) B(a, j * width + b) += z * Xy(i, b);
    }
  }
}

using Triplets = std::vector<Eigen::Triplet<double>>;

// Lower triangle of the diagonal blocks of one factor of the rest.
void add_diagonal(const Matrix& A, Index k, Index q, Index offset, Triplets& out) {
  for (Index l = 0; l < q; ++l) {
    for (Index b = 0; b < k; ++b) {
      for (Index a = b; a < k; ++a) {
        out.emplace_back(static_cast<int>(offset + l * k + a),
                         static_cast<int>(offset + l * k + b), A(a, l * k + b));
      }
    }
  }
}

void add_crossing(const Cross& cross, Index kf, Index kg, Index offset_f, Index offset_g,
                  Triplets& out) {
  const double* value = cross.value.data();
  for (std::size_t j = 0; j + 1 < cross.start.size(); ++j) {
    for (int at = cross.start[j]; at < cross.start[j + 1]; ++at) {
      const Index level = cross.level[static_cast<std::size_t>(at)];
      for (Index b = 0; b < kg; ++b) {
        for (Index a = 0; a < kf; ++a) {
          // g comes after f: below the diagonal
          out.emplace_back(static_cast<int>(offset_g + level * kg + b),
                           static_cast<int>(offset_f + static_cast<Index>(j) * kf + a),
                           *value++);
        }
      }
    }
  }
}

void add_rest(const std::vector<FactorRows>& rows, const ConstMatrixRef& Xy,
              BlockedData& data) {
  const std::vector<Index> offset = rest_offsets(data.factors);
  const Index r = offset.back(), width = Xy.cols(), k = data.factors[0].k;
  data.rest_Xy.resize(r, width);
  Triplets entries;
  std::vector<Sorted> sorted;
  for (const FactorRows& factor : rows) sorted.push_back(sort_rows(factor));
  std::vector<Cross> with_first;
  for (std::size_t f = 1; f < rows.size(); ++f) {
    const Index kf = rows[f].Z.cols(), q = rows[f].q;
    Matrix A, B;
    own_products(rows[f], Xy, A, B);
    add_diagonal(A, kf, q, offset[f], entries);
    for (Index l = 0; l < q; ++l) {
      data.rest_Xy.middleRows(offset[f] + l * kf, kf) = B.middleCols(l * width, width);
    }
    for (std::size_t g = f + 1; g < rows.size(); ++g) {
      add_crossing(cross_products(rows[f], sorted[f], rows[g]), kf, rows[g].Z.cols(),
                   offset[f], offset[g], entries);
    }
    with_first.push_back(cross_products(rows[0], sorted[0], rows[f]));
  }
  data.rest.resize(r, r);
  data.rest.setFromTriplets(entries.begin(), entries.end());

  std::size_t total = 0;
  for (std::size_t f = 1; f < rows.size(); ++f) {
    total += with_first[f - 1].level.size() * static_cast<std::size_t>(rows[f].Z.cols());
  }
  data.cross.resize(k, static_cast<Index>(total));
  data.column.reserve(total);
  data.start.push_back(0);
  for (Index j = 0; j < data.factors[0].q; ++j) {
    for (std::size_t f = 1; f < rows.size(); ++f) {
      const Cross& cross = with_first[f - 1];
      const Index kf = rows[f].Z.cols();
      for (int at = cross.start[static_cast<std::size_t>(j)];
           at < cross.start[static_cast<std::size_t>(j) + 1]; ++at) {
        const double* value = cross.value.data() + static_cast<Index>(at) * k * kf;
        const Index first = offset[f] + cross.level[static_cast<std::size_t>(at)] * kf;
        for (Index b = 0; b < kf; ++b) {
          const Index to = static_cast<Index>(data.column.size());
          for (Index a = 0; a < k; ++a) data.cross(a, to) = *value++;
          data.column.push_back(static_cast<int>(first + b));
        }
      }
    }
    data.start.push_back(static_cast<int>(data.column.size()));
  }
}

}  // namespace

std::vector<Index> rest_offsets(const std::vector<Factor>& factors) {
  std::vector<Index> out(2, 0);
  for (std::size_t f = 1; f < factors.size(); ++f) {
    out.push_back(out.back() + factors[f].q * factors[f].k);
  }
  return out;  // offset of factor f at f, of the end at factors.size()
}

BlockedData blocked_data(const std::vector<FactorRows>& rows, const ConstMatrixRef& Xy) {
  BlockedData data;
  data.n = Xy.rows();
  data.p = Xy.cols() - 1;
  for (const FactorRows& factor : rows) {
    Factor shape;
    shape.q = factor.q;
    shape.k = factor.Z.cols();
    data.factors.push_back(shape);
  }
  own_products(rows[0], Xy, data.A, data.B);
  data.count.assign(static_cast<std::size_t>(rows[0].q), 1);
  data.slice.resize(static_cast<std::size_t>(rows[0].q) + 1);
  std::iota(data.slice.begin(), data.slice.end(), 0);
  data.rest_Xy.resize(0, Xy.cols());
  if (rows.size() > 1) add_rest(rows, Xy, data);
  data.C = Xy.transpose() * Xy;
  return data;
}

std::vector<Component> factor_components(const BlockedData& data) {
  const Covariance covariance(data.sizes);
  std::vector<Component> out(static_cast<std::size_t>(covariance.count()));
  for (std::size_t f = 0; f < data.factors.size(); ++f) {
    Index first = 0;
    for (int t : data.factors[f].terms) {
      const Index k = covariance.size(t);
      auto at = static_cast<std::size_t>(covariance.first(t));
      for (Index c = 0; c < k; ++c) {
        for (Index r = c; r < k; ++r) out[at++] = {f, first + r, first + c};
      }
      first += k;
    }
  }
  return out;
}

LevelClasses level_classes(const BlockedData& data) {
  const Index k = data.factors[0].k, q = data.classes();
  const auto bytes = static_cast<std::size_t>(k * k) * sizeof(double);
  const auto compare = [&](Index a, Index b) {
    return std::memcmp(data.A.data() + a * k * k, data.A.data() + b * k * k, bytes);
  };
  LevelClasses out;
  out.level.resize(static_cast<std::size_t>(q));
  std::iota(out.level.begin(), out.level.end(), 0);
  std::stable_sort(out.level.begin(), out.level.end(),
                   [&](Index a, Index b) { return compare(a, b) < 0; });
  for (std::size_t i = 0; i < out.level.size(); ++i) {
    if (i == 0 || compare(out.level[i - 1], out.level[i]) != 0) {
      out.start.push_back(static_cast<Index>(i));
    }
  }
  out.start.push_back(q);
  return out;
}

BlockedData merged_levels(const BlockedData& data) {
  return merged_levels(data, level_classes(data));
}

BlockedData merged_levels(const BlockedData& data, const LevelClasses& classes) {
  if (data.factors.size() > 1) return data;
  const Index k = data.factors[0].k, width = data.p + 1, size = k * width;
  const auto count = classes.start.size() - 1;
  BlockedData out;
  out.n = data.n;
  out.p = data.p;
  out.sizes = data.sizes;
  out.factors = data.factors;
  out.rest_Xy = data.rest_Xy;
  out.C = data.C;
  out.A.resize(k, k * static_cast<Index>(count));
  out.slice.assign(1, 0);
  for (std::size_t c = 0; c < count; ++c) {
    const Index m = classes.start[c + 1] - classes.start[c];
    out.count.push_back(static_cast<int>(m));
    out.slice.push_back(out.slice.back() + static_cast<int>(std::min(m, size)));
  }
  out.B.resize(k, width * out.slice.back());
  Matrix stacked;
  for (std::size_t c = 0; c < count; ++c) {
    const auto begin = static_cast<std::size_t>(classes.start[c]);
    const Index m = out.count[c], rows = std::min(m, size);
    out.A.middleCols(static_cast<Index>(c) * k, k) =
        data.A.middleCols(classes.level[begin] * k, k);
    stacked.resize(m, size);
    for (Index i = 0; i < m; ++i) {
      const Index j = classes.level[begin + static_cast<std::size_t>(i)];
      stacked.row(i) = Eigen::Map<const Vector>(data.B.data() + j * size, size);
    }
    if (m > size) {
      // levels that are turned into one another leave every sum over them as it is
      const Eigen::HouseholderQR<Matrix> qr(stacked);
      stacked = qr.matrixQR().topRows(size).triangularView<Eigen::Upper>();
    }
    Eigen::Map<Matrix>(out.B.data() + out.slice[c] * size, size, rows) =
        stacked.transpose();
  }
  return out;
}

}  // namespace kinlmm
