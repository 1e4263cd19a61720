#include "core/gram.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstring>
#include <numeric>

#include "core/genotypes.h"
#include "core/gram_kernels.h"
#include "core/parallel.h"

// With x the count of the rarer allele, or 0 where missing, o = 1 or 0 as it is observed
// or missing, M the other way round, mu the mean and w the weight of a marker, and sums
// over markers,
//   sum w (x_i - mu o_i)(x_j - mu o_j) =
//     sum w x_i x_j + C_ij + C_ji + sum w mu^2 - e_i - e_j,
//   C_ij = sum of w mu (x_i + mu M_i / 2) over the markers that j lacks,
//   e_i = sum w mu (x_i + mu M_i).
// The first sum is a product of bytes. The others are sums of values looked up by the
// count, those of C over the few missing genotypes of j.

namespace kinlmm {

namespace {

constexpr Index kTile =
    192;  // samples x samples that one thread works on; sums stay in L2
constexpr Index kAlike = 8 * kFours;  // markers that share the scales of their weights

// Whether a2 is the rarer allele, so that it is counted.
bool flipped(double mean) {
  return mean > 1;
}

struct Factors {
  std::uint8_t first, second;
};

// By number, the factors of which it is the product: one for unsigned and one for signed
// bytes, which hold twice as much too. Zeros where there are none.
std::vector<Factors> make_factors() {
  std::vector<Factors> factors(kLargest + 1, Factors{0, 0});
  for (int second = 63; second >= 1; --second) {
    for (int first = 127; first >= 1; --first) {
      if (first * second > kLargest) continue;
      factors[first * second] = {std::uint8_t(first), std::uint8_t(second)};
    }
  }
  return factors;
}

const std::vector<Factors>& factors_of() {
  static const std::vector<Factors> factors = make_factors();
  return factors;
}

bool is_product(int x) {
  return x == 0 || (x > 0 && x <= kLargest && factors_of()[x].first > 0);
}

// The product nearest to x, 0 <= x <= kLargest.
int nearest_product(double x) {
  const int centre = static_cast<int>(std::lround(x));
  const int side = x >= centre ? 1 : -1;
  int away = 0;
  while (!is_product(centre + side * away) && !is_product(centre - side * away)) ++away;
  return is_product(centre + side * away) ? centre + side * away : centre - side * away;
}

// A number x, 0 <= x <= kLargest, as p_0 + p_1 kStep + p_2 kStep^2 of products of
// factors, where all but p_0 may be negative; two or three of them. Few binary digits
// make multiples of the step exact; were it a power of two, what remains of x would have
// the same distance to a step for every p_0.
constexpr double kStep = 69.0 / 32768;
constexpr int kMostProducts = 3;
using Products = std::array<int, kMostProducts>;

double value_of(const Products& p) {
  return p[0] + kStep * (p[1] + kStep * p[2]);
}

// The best of all p_0 within the reach of the others.
Products as_products(double x, int count) {
  constexpr double kReach = kLargest * kStep;
  Products best{};
  double error = 2 * kLargest;
  const int last = std::min(kLargest, static_cast<int>(std::floor(x + kReach)));
  for (int at = std::max(0, static_cast<int>(std::ceil(x - kReach))); at <= last; ++at) {
    if (!is_product(at)) continue;
    Products now{at, 0, 0};
    for (int p = 1; p < count; ++p) {
      const double rest = (x - value_of(now)) / (p == 1 ? kStep : kStep * kStep);
      const int size = nearest_product(std::min(std::abs(rest), double(kLargest)));
      now[p] = rest < 0 ? -size : size;
    }
    if (std::abs(x - value_of(now)) < error) {
      error = std::abs(x - value_of(now));
      best = now;
    }
  }
  return best;
}

// The largest power of two by which x stays at most kLargest.
double scale_to_largest(double x) {
  int exponent = 0;
  std::frexp(kLargest / x, &exponent);
  return std::ldexp(1, exponent - 1);
}

// The weights of a block as sums of products of bytes.
struct Weights {
  double unit = 1;            // the sums are multiplied by it
  std::vector<double> value;  // by marker, in units: what the bytes make of the weight
  std::vector<Index> order;   // markers by weight, largest first; -1 fills up to fours
  std::vector<std::uint8_t> two;  // the count of order[k] that is two of the rarer allele
  int products = 1;
  // product: factors of the marker order[k]
  std::array<std::vector<std::uint8_t>, kMostProducts> column, row;
  // product: of the markers from k kAlike on
  std::array<std::vector<double>, kMostProducts> scale;
};

void set_factors(Weights& w, int product, std::size_t k, int value) {
  const Factors f = factors_of()[std::abs(value)];
  w.column[product][k] = f.first;
  w.row[product][k] = static_cast<std::uint8_t>(value < 0 ? -int(f.second) : f.second);
}

// Markers order[first], ... up to last, whose weights are alike.
void quantise(const std::vector<double>& weight, Index first, Index last, Weights& w) {
  const double largest = weight[w.order[first]];
  const double up = largest > 0 ? scale_to_largest(largest) : 1;
  double step = 1;
  for (int p = 0; p < w.products; ++p, step *= kStep) w.scale[p].push_back(step / up);
  for (Index k = first; k < last; ++k) {
    const Products products = as_products(weight[w.order[k]] * up, w.products);
    for (int p = 0; p < w.products; ++p) set_factors(w, p, k, products[p]);
    w.value[w.order[k]] = value_of(products) / up;
  }
}

Weights as_bytes(const CountBlock& block) {
  const std::vector<double>& weight = block.weight;
  const Index m = static_cast<Index>(weight.size());
  Weights w;
  w.order.resize(m);
  std::iota(w.order.begin(), w.order.end(), Index(0));
  const Index padded = (m + 3) / 4 * 4;
  for (int p = 0; p < kMostProducts; ++p) {
    w.column[p].assign(padded, 0);
    w.row[p].assign(padded, 0);
  }
  if (std::all_of(weight.begin(), weight.end(),
                  [&](double x) { return x == weight[0]; })) {
    w.unit = weight[0];
    w.value.assign(m, 1);
    std::fill_n(w.column[0].begin(), m, std::uint8_t(1));
    std::fill_n(w.row[0].begin(), m, std::uint8_t(1));
    w.scale[0].assign((m + kAlike - 1) / kAlike, 1);
  } else {
    w.products = block.precise ? 3 : 2;
    w.value.assign(m, 0);
    std::stable_sort(w.order.begin(), w.order.end(),
                     [&](Index a, Index b) { return weight[a] > weight[b]; });
    for (Index k = 0; k < m; k += kAlike) {
      quantise(weight, k, std::min(m, k + kAlike), w);
    }
  }
  for (const Index s : w.order) w.two.push_back(flipped(block.mean[s]) ? 0 : 2);
  w.order.resize(padded, -1);
  w.two.resize(padded, 2);
  return w;
}

// Which markers each sample lacks.
struct Missing {
  std::vector<Index> start;  // n + 1
  std::vector<int> marker;   // of sample i: from start[i] on, increasing
  Index most = 0;            // of a sample
};

Missing find_missing(const CountBlock& block) {
  const Index n = block.n, m = static_cast<Index>(block.weight.size());
  std::vector<std::pair<Index, int>> pairs;
  const auto note = [&](Index i, Index s) {
    if (block.counts[s * n + i] == kMissingCount) pairs.emplace_back(i, int(s));
  };
  for (Index s = 0; s < m; ++s) {
    const std::uint8_t* x = block.counts + s * n;
    Index i = 0;
    for (; i + 8 <= n; i += 8) {
      std::uint64_t eight;
      std::memcpy(&eight, x + i, sizeof eight);
      if ((eight & (eight >> 1) & 0x0101010101010101u) == 0) continue;
      for (Index k = i; k < i + 8; ++k) note(k, s);
    }
    for (; i < n; ++i) note(i, s);
  }
  Missing out;
  out.start.assign(n + 1, 0);
  for (const auto& pair : pairs) ++out.start[pair.first + 1];
  for (Index i = 0; i < n; ++i) {
    out.most = std::max(out.most, out.start[i + 1]);
    out.start[i + 1] += out.start[i];
  }
  out.marker.resize(pairs.size());
  std::vector<Index> next(out.start.begin(), out.start.end() - 1);
  for (const auto& pair : pairs) out.marker[next[pair.first]++] = pair.second;
  return out;
}

// What is looked up: by marker, for each count and missing.
using FourValues = std::array<double, 4>;

struct Tables {
  std::vector<FourValues> whole;  // of e
  std::vector<FourValues> half;   // of C
  double constant = 0;            // sum w mu^2
};

Tables gram_tables(const CountBlock& block, const Weights& w) {
  Tables tables;
  for (std::size_t s = 0; s < w.value.size(); ++s) {
    const bool flip = flipped(block.mean[s]);
    const double mu = flip ? 2 - block.mean[s] : block.mean[s], c = w.value[s] * mu;
    const double none = flip ? 2 * c : 0, both = flip ? 0 : 2 * c;
    tables.whole.push_back({none, c, both, c * mu});
    tables.half.push_back({none, c, both, c * mu / 2});
    tables.constant += c * mu;
  }
  return tables;
}

// o o' is (1 - M)(1 - M)': the same sums with no products.
Tables observed_tables(const std::vector<double>& weight) {
  Tables tables;
  for (const double w : weight) {
    tables.whole.push_back({0, 0, 0, w});
    tables.half.push_back({0, 0, 0, w / 2});
    tables.constant += w;
  }
  return tables;
}

// Sums of one tile, sample j of the first in the rows.
struct Scratch {
  std::vector<std::int32_t> integer = std::vector<std::int32_t>(kTile * kTile);
  std::vector<double> across = std::vector<double>(kTile * kTile);
  std::vector<double> sum = std::vector<double>(kTile * kTile);
};

class TileSums {
 public:
  TileSums(const CountBlock& block, const GramKernels& kernels, int threads,
           const Missing& missing, const Tables& tables, const Weights* weights)
      : n_(block.n),
        counts_(block.counts),
        kernels_(kernels),
        threads_(threads),
        missing_(missing),
        tables_(tables),
        weights_(weights) {
    sum_whole();
    if (weights_ != nullptr) pack();
  }

  void add_to(MatrixRef S) {
    const Index tiles = (n_ + kTile - 1) / kTile;
    std::vector<std::pair<Index, Index>> pairs;
    for (Index i = 0; i < tiles; ++i) {
      for (Index j = 0; j <= i; ++j) pairs.emplace_back(i * kTile, j * kTile);
    }
    std::atomic<std::size_t> next{0};
    parallel_for(threads_, threads_, [&](Index) {
      Scratch scratch;
      for (std::size_t at = next++; at < pairs.size(); at = next++) {
        add_tile(pairs[at].first, pairs[at].second, scratch, S);
      }
    });
  }

 private:
  Index width(Index first) const { return std::min(kTile, n_ - first); }

  void sum_whole() {
    constexpr Index kPart = 512;
    whole_.assign(n_, 0);
    parallel_for((n_ + kPart - 1) / kPart, threads_, [&](Index part) {
      const Index first = part * kPart, last = std::min(n_, first + kPart);
      for (std::size_t s = 0; s < tables_.whole.size(); ++s) {
        const std::uint8_t* x = counts_ + static_cast<Index>(s) * n_;
        const FourValues& value = tables_.whole[s];
        for (Index i = first; i < last; ++i) whole_[i] += value[x[i]];
      }
    });
  }

  void pack() {
    const Weights& w = *weights_;
    const Index markers = static_cast<Index>(w.order.size());
    // whole triples of panels
    const Index panels = (n_ + kColumns - 1) / kColumns * (kColumns / kPanel);
    panel_ = kPanel * markers;
    for (int p = 0; p < w.products; ++p) {
      for (const bool side : {true, false}) {
        if (w.products == 1 && !side) continue;  // both are the counts
        auto& to = side ? column_[p] : row_[p];
        to.resize(panels * panel_);
        const std::uint8_t* one = (side ? w.column[p] : w.row[p]).data();
        parallel_for(panels, threads_, [&](Index panel) {
          const Index first = panel * kPanel;
          const Index width = std::max<Index>(0, std::min(kPanel, n_ - first));
          kernels_.pack(counts_ + (width > 0 ? first : 0), n_, w.order.data(), one,
                        w.two.data(), markers, width, to.data() + panel * panel_);
        });
      }
    }
  }

  void add_tile(Index i, Index j, Scratch& scratch, MatrixRef S) const {
    std::fill(scratch.sum.begin(), scratch.sum.end(), 0.0);
    if (weights_ != nullptr) add_products(i, j, scratch);
    if (missing_.most > 0) add_missing(i, j, scratch);
    const double unit = weights_ == nullptr ? 1 : weights_->unit;
    for (Index b = 0; b < width(j); ++b) {
      const double* from = scratch.sum.data() + b * kTile;
      double* to = S.col(j + b).data() + i;
      const double about = tables_.constant - whole_[j + b];
      for (Index a = i == j ? b : 0; a < width(i); ++a) {
        to[a] += unit * (from[a] + (about - whole_[i + a]));
      }
    }
  }

  void add_products(Index i, Index j, Scratch& scratch) const {
    const Weights& w = *weights_;
    const Index fours = static_cast<Index>(w.order.size()) / 4;
    for (Index group = 0; group < fours; group += kAlike / 4) {
      const Index end = std::min(fours, group + kAlike / 4);
      for (int p = 0; p < w.products; ++p) {
        std::fill(scratch.integer.begin(), scratch.integer.end(), 0);
        for (Index first = group; first < end; first += kFours) {
          multiply(p, i, j, first, std::min(kFours, end - first), scratch.integer.data());
        }
        kernels_.accumulate(scratch.integer.data(), w.scale[p][4 * group / kAlike],
                            kTile * kTile, scratch.sum.data());
      }
    }
  }

  void multiply(int p, Index i, Index j, Index first, Index count,
                std::int32_t* out) const {
    const bool counts = weights_->products == 1;
    const std::uint8_t* columns = column_[p].data() + 64 * first;
    const std::uint8_t* rows = (counts ? column_ : row_)[p].data() + 64 * first;
    const auto by = counts ? kernels_.multiply_counts : kernels_.multiply;
    for (Index a = 0; a < width(i); a += kColumns) {
      for (Index b = 0; b < width(j); b += kRows) {
        if (i + a + kColumns <= j + b) continue;  // above the diagonal
        const Index row = j + b;
        by(rows + row / kPanel * panel_ + row % kPanel * 4,
           columns + (i + a) / kPanel * panel_, panel_, count, out + b * kTile + a,
           kTile);
      }
    }
  }

  // C_ij and C_ji.
  void add_missing(Index i, Index j, Scratch& scratch) const {
    constexpr Index kPart = 16;
    std::fill(scratch.across.begin(), scratch.across.end(), 0.0);
    look_up(j, i, scratch.across);
    look_up(i, j, scratch.sum);
    for (Index first = 0; first < width(j); first += kPart) {
      const Index last = std::min(width(j), first + kPart);
      for (Index a = 0; a < width(i); ++a) {
        for (Index b = first; b < last; ++b) {
          scratch.sum[b * kTile + a] += scratch.across[a * kTile + b];
        }
      }
    }
  }

  // Adds to out[b][a] sample i + a's values at the markers that j + b lacks.
  void look_up(Index i, Index j, std::vector<double>& out) const {
    for (Index b = 0; b < width(j); ++b) {
      const Index start = missing_.start[j + b];
      kernels_.look_up(counts_ + i, n_, missing_.marker.data() + start,
                       missing_.start[j + b + 1] - start, tables_.half[0].data(),
                       width(i), out.data() + b * kTile);
    }
  }

  Index n_;
  const std::uint8_t* counts_;
  const GramKernels& kernels_;
  int threads_;
  const Missing& missing_;
  const Tables& tables_;
  const Weights* weights_;     // none: no products
  std::vector<double> whole_;  // e, by sample
  Index panel_ = 0;            // bytes of a panel
  std::array<std::vector<std::uint8_t>, kMostProducts> column_,
      row_;  // panels, by product
};

}  // namespace

void add_gram(const CountBlock& block, Instructions with, int threads, MatrixRef S) {
  if (block.weight.empty() || block.n == 0) return;
  const Weights weights = as_bytes(block);
  const Missing missing = find_missing(block);
  const Tables tables = gram_tables(block, weights);
  TileSums(block, gram_kernels(with), threads, missing, tables, &weights).add_to(S);
}

void add_observed(const CountBlock& block, Instructions with, int threads, MatrixRef D) {
  if (block.weight.empty() || block.n == 0) return;
  const Missing missing = find_missing(block);
  const Tables tables = observed_tables(block.weight);
  TileSums(block, gram_kernels(with), threads, missing, tables, nullptr).add_to(D);
}

}  // namespace kinlmm
