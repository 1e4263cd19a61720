#include "core/grm.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "core/error.h"
#include "core/lapack.h"
#include "core/memory.h"
#include "core/parallel.h"

namespace kinlmm {

namespace {

constexpr Index kBlockBytes = Index(1) << 24;
constexpr Index kMostMarkers = 4096;
constexpr Index kFewestMarkers = 256;
constexpr Index kTile = 32;
// More of them let errors of their weights cancel out, and cost time.
constexpr Index kPreciseMarkers = 25000;

// The count that a marker belongs to.
Index GrmCounts::*count_of(MarkerFate fate) {
  constexpr Index GrmCounts::*kCounts[] = {&GrmCounts::used, &GrmCounts::missing,
                                           &GrmCounts::monomorphic, &GrmCounts::rare,
                                           &GrmCounts::hwe};
  return kCounts[static_cast<int>(fate)];
}

// How a marker enters: see GrmMethod. `weight` multiplies z z' before it is divided by
// its variance, `share` is what the marker adds to the denominator.
struct MarkerTerm {
  double mean, weight, share;
};

MarkerTerm term_of(const MarkerSummary& s, Index n, const GrmOptions& options,
                   Index marker) {
  const double w =
      options.weight.empty() ? 1 : options.weight[static_cast<std::size_t>(marker)];
  const double h = s.mean * (1 - s.mean / 2);
  switch (options.method) {
    case GrmMethod::centered:
      return {s.mean, w, w};
    case GrmMethod::standardized: {
      // a pair that is not observed does not count, so imputation must not shrink
      const double grown =
          options.pairwise ? static_cast<double>(n) / static_cast<double>(s.observed) : 1;
      return {s.mean, w / (s.variance * grown), w};
    }
    case GrmMethod::vanraden1:
      return {s.mean, w, w * h};
    case GrmMethod::vanraden2:
      return {s.mean, w / h, w};
    case GrmMethod::dominance:
      return {h, w, w * h * (1 - h)};
    case GrmMethod::vitezica:
      return {s.mean, w, w * h * h};
  }
  return {s.mean, w, w};
}

// z of a genotype that is not missing, not divided by its standard deviation.
double value_of(double x, const MarkerTerm& term, GrmMethod method) {
  if (method == GrmMethod::dominance) return 1 - std::abs(x - 1) - term.mean;
  if (method != GrmMethod::vitezica) return x - term.mean;
  const double p = term.mean / 2, q = 1 - p, h = 2 * p * q;
  return x <= 1 ? (1 - x) * -2 * p * p + x * h : (2 - x) * h + (x - 1) * -2 * q * q;
}

// Sums of a group: S and, if pairwise, D (denominators) and N (numbers); lower triangles.
struct GroupSums {
  Eigen::Map<Matrix> S, N;
  Matrix own;  // D, where it is not N
  GrmCounts counts;
  MatrixRef D() { return own.size() > 0 ? MatrixRef(own) : MatrixRef(N); }
};

class Sums {
 public:
  Sums(GenotypeSource& source, const GrmOptions& options)
      : source_(source), options_(options), n_(source.samples()) {}

  // Adds the markers first, ..., first + count - 1 to a group.
  void add(Index first, Index count, GroupSums& to) {
    counts_.resize(static_cast<std::size_t>(n_ * count));
    // the values of Vitezica are no multiples of whole numbers
    if (options_.method != GrmMethod::vitezica &&
        source_.read_counts(first, count, counts_.data())) {
      add_counts(first, count, to);
      return;
    }
    for (Index done = 0; done < count; done += kFewestMarkers) {
      add_values(first + done, std::min(kFewestMarkers, count - done), to);
    }
  }

 private:
  // Terms of the markers used, and their places in the block.
  void choose(const std::vector<MarkerSummary>& summaries, Index first, GroupSums& to) {
    from_.clear();
    terms_.clear();
    for (std::size_t j = 0; j < summaries.size(); ++j) {
      const MarkerFate outcome = fate(summaries[j], n_, options_.filter);
      ++(to.counts.*count_of(outcome));
      if (outcome != MarkerFate::used) continue;
      from_.push_back(static_cast<Index>(j));
      terms_.push_back(term_of(summaries[j], n_, options_, first + from_.back()));
      to.counts.share += terms_.back().share;
    }
  }

  // Moves the columns of counts_ that are used to the left.
  void compact() {
    for (std::size_t k = 0; k < from_.size(); ++k) {
      const Index to = static_cast<Index>(k);
      if (from_[k] != to) {
        std::copy_n(counts_.data() + from_[k] * n_, n_, counts_.data() + to * n_);
      }
    }
  }

  CountBlock block() const {
    CountBlock out{counts_.data(), n_, {}, {}, source_.markers() <= kPreciseMarkers};
    for (const MarkerTerm& term : terms_) {
      out.mean.push_back(term.mean);
      out.weight.push_back(term.weight);
    }
    return out;
  }

  void add_counts(Index first, Index count, GroupSums& to) {
    choose(summarise_counts(counts_.data(), n_, count, options_.threads), first, to);
    if (from_.empty()) return;
    compact();
    if (options_.method == GrmMethod::dominance) {
      parallel_for(static_cast<Index>(from_.size()), options_.threads, [&](Index k) {
        std::uint8_t* x = counts_.data() + k * n_;
        std::replace(x, x + n_, std::uint8_t(2), std::uint8_t(0));
      });
    }
    add_gram(block(), options_.with, options_.threads, to.S);
    add_pairs(to);
  }

  void add_values(Index first, Index count, GroupSums& to) {
    if (values_.cols() < count) values_.resize(n_, count);
    auto G = values_.leftCols(count);  // n x count
    source_.read(first, count, G);
    parallel_for(count, options_.threads, [&](Index j) {
      for (Index i = 0; i < n_; ++i) {
        counts_[static_cast<std::size_t>(j * n_ + i)] =
            std::isnan(G(i, j)) ? kMissingCount : 0;
      }
    });
    choose(summarise_and_impute(G, options_.threads), first, to);
    if (from_.empty()) return;
    compact();
    const Index kept = static_cast<Index>(from_.size());
    for (Index k = 0; k < kept; ++k) {
      const Index j = from_[static_cast<std::size_t>(k)];
      if (j != k) G.col(k) = G.col(j);
    }
    parallel_for(kept, options_.threads, [&](Index k) {
      const MarkerTerm& term = terms_[static_cast<std::size_t>(k)];
      const double root = std::sqrt(term.weight);
      for (Index i = 0; i < n_; ++i) {
        const bool missing = counts_[static_cast<std::size_t>(k * n_ + i)] != 0;
        G(i, k) = missing ? 0 : root * value_of(G(i, k), term, options_.method);
      }
    });
    lapack::syrk(1, G.leftCols(kept), 1, to.S);
    add_pairs(to);
  }

  // Of counts_, what is observed.
  void add_pairs(GroupSums& to) {
    if (!options_.pairwise) return;
    CountBlock at = block();
    std::fill(at.weight.begin(), at.weight.end(), 1);
    add_observed(at, options_.with, options_.threads, to.N);
    if (to.own.size() == 0) return;
    for (std::size_t k = 0; k < terms_.size(); ++k) at.weight[k] = terms_[k].share;
    add_observed(at, options_.with, options_.threads, to.own);
  }

  GenotypeSource& source_;
  const GrmOptions& options_;
  const Index n_;
  std::vector<std::uint8_t> counts_;
  Matrix values_;
  std::vector<Index> from_;
  std::vector<MarkerTerm> terms_;
};

// Calls f(first column) for all tiles of columns of n, the long ones and the short ones
// of a triangle evenly among threads.
template <class F>
void for_column_tiles(Index n, Index from, Index to, int threads, F&& f) {
  const Index tiles = (n + kTile - 1) / kTile;
  parallel_for(to - from, threads, [&](Index k) {
    const Index other = tiles - 1 - (from + k);
    f((from + k) * kTile);
    if (other != from + k) f(other * kTile);
  });
}

Index column_pairs(Index n) {
  return ((n + kTile - 1) / kTile + 1) / 2;
}

// The lower triangle and the tiles on the diagonal: the rest is not read.
void set_zero(MatrixRef S, int threads) {
  const Index n = S.rows();
  for_column_tiles(n, 0, column_pairs(n), threads, [&](Index first) {
    for (Index j = first; j < std::min(n, first + kTile); ++j) {
      S.col(j).tail(n - first).setZero();
    }
  });
}

using Tile =
    Eigen::Array<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::ColMajor, kTile, kTile>;

// Turns sums into matrices, tile by tile of all groups, so that a tile is read once.
class Finish {
 public:
  Finish(std::vector<GroupSums>& groups, const GrmOptions& options)
      : groups_(groups), options_(options) {
    for (const GroupSums& group : groups) share_ += group.counts.share;
  }

  void run(Monitor& monitor, Index markers) {
    const Index n = groups_[0].S.rows(), pairs = column_pairs(n);
    const Index writes = 2 * kTile * n * static_cast<Index>(groups_.size());
    const Index most = std::max<Index>(8 * options_.threads, Index(200000000) / writes);
    for (Index from = 0; from < pairs; from += most) {
      for_column_tiles(n, from, std::min(pairs, from + most), options_.threads,
                       [&](Index left) {
                         for (Index top = left; top < n; top += kTile) tile(top, left);
                       });
      if (from + most < pairs) monitor.tick(markers, markers);
    }
  }

 private:
  void tile(Index top, Index left) {
    const Index n = groups_[0].S.rows();
    const Index rows = std::min(kTile, n - top), columns = std::min(kTile, n - left);
    const auto part = [&](const auto& M) { return M.block(top, left, rows, columns); };
    // a group, or all but it
    const auto chosen = [&](const Tile& all, const auto& own) -> Tile {
      if (options_.leave_out) return all - own.array();
      return own.array();
    };
    Tile S, D, N;
    if (options_.leave_out) {
      S = Tile::Zero(rows, columns);
      for (GroupSums& group : groups_) S += part(group.S).array();
    }
    if (options_.leave_out && options_.pairwise) {
      N = D = Tile::Zero(rows, columns);
      for (GroupSums& group : groups_) {
        N += part(group.N).array();
        D += part(group.D()).array();
      }
    }
    for (GroupSums& group : groups_) {
      Tile K = chosen(S, part(group.S));
      if (options_.pairwise) {
        K /= chosen(D, part(group.D()));
        write(chosen(N, part(group.N)), top, left, group.N);
      } else {
        const double share =
            options_.leave_out ? share_ - group.counts.share : group.counts.share;
        if (share > 0) K *= 1 / share;
      }
      write(K, top, left, group.S);
    }
  }

  static void write(const Tile& tile, Index top, Index left, MatrixRef K) {
    auto lower = K.block(top, left, tile.rows(), tile.cols());
    lower = tile.matrix();
    if (top == left) {
      lower.triangularView<Eigen::StrictlyUpper>() = tile.matrix().transpose();
    } else {
      K.block(left, top, tile.cols(), tile.rows()) = tile.matrix().transpose();
    }
  }

  std::vector<GroupSums>& groups_;
  const GrmOptions& options_;
  double share_ = 0;
};

// Whether a marker adds something else than 1 to the denominator.
bool has_shares(const GrmOptions& options) {
  return !options.weight.empty() || options.method == GrmMethod::vanraden1 ||
         options.method == GrmMethod::dominance || options.method == GrmMethod::vitezica;
}

GroupSums start(const GrmTarget& target, Index n, const GrmOptions& options) {
  const bool pairs = options.pairwise;
  GroupSums out{
      Eigen::Map<Matrix>(target.K, n, n),
      Eigen::Map<Matrix>(pairs ? target.observed : nullptr, pairs ? n : 0, pairs ? n : 0),
      {},
      {}};
  set_zero(out.S, options.threads);
  if (!pairs) return out;
  set_zero(out.N, options.threads);
  if (has_shares(options)) {
    out.own.resize(n, n);
    prefer_large_pages(out.own.data(), static_cast<std::size_t>(n * n) * sizeof(double));
    set_zero(out.own, options.threads);
  }
  return out;
}

// Markers read at a time, of a group of `size`: parts of one length.
Index block_of(Index size, Index n, const GrmOptions& options) {
  if (options.block > 0) return options.block;
  const Index fits = kBlockBytes / std::max<Index>(1, n);
  const Index most = std::min(kMostMarkers, std::max(kFewestMarkers, fits));
  const Index parts = (size + most - 1) / most;
  return parts > 0 ? (size + parts - 1) / parts : most;
}

}  // namespace

GrmMethod as_grm_method(const std::string& name) {
  if (name == "centered") return GrmMethod::centered;
  if (name == "standardized") return GrmMethod::standardized;
  if (name == "vanraden1") return GrmMethod::vanraden1;
  if (name == "vanraden2") return GrmMethod::vanraden2;
  if (name == "dominance") return GrmMethod::dominance;
  if (name == "vitezica") return GrmMethod::vitezica;
  throw Error("grm_method", {}, name);
}

GrmBlock prepare_block(MatrixRef G, const GrmOptions& options, GrmCounts& counts) {
  const auto summaries = summarise_and_impute(G, options.threads);
  GrmBlock block;
  for (Index j = 0; j < G.cols(); ++j) {
    const MarkerSummary& s = summaries[j];
    const MarkerFate outcome = fate(s, G.rows(), options.filter);
    ++(counts.*count_of(outcome));
    if (outcome != MarkerFate::used) continue;
    const MarkerTerm term = term_of(s, G.rows(), options, j);
    block.from.push_back(j);
    block.mean.push_back(term.mean);
    block.scale.push_back(std::sqrt(term.weight));
  }
  const Index kept = static_cast<Index>(block.from.size());
  for (Index k = 0; k < kept; ++k) {
    if (block.from[k] != k) G.col(k) = G.col(block.from[k]);
  }
  parallel_for(kept, options.threads, [&](Index k) {
    G.col(k).array() = (G.col(k).array() - block.mean[k]) * block.scale[k];
  });
  return block;
}

std::vector<GrmCounts> grm(GenotypeSource& source, const GrmOptions& options,
                           Monitor& monitor, const std::vector<GrmTarget>& targets) {
  const Index n = source.samples(), m = source.markers();
  std::vector<Index> sizes = options.sizes;
  if (sizes.empty()) sizes.push_back(m);
  if (sizes.size() != targets.size() ||
      std::accumulate(sizes.begin(), sizes.end(), Index(0)) != m) {
    throw Error("grm_groups", {{"groups", double(targets.size())}, {"m", double(m)}});
  }
  std::vector<GroupSums> groups;
  groups.reserve(targets.size());
  Sums sums(source, options);
  Index first = 0;
  for (std::size_t g = 0; g < targets.size(); ++g) {
    groups.push_back(start(targets[g], n, options));
    const Index block = block_of(sizes[g], n, options), end = first + sizes[g];
    for (; first < end; first = std::min(end, first + block)) {
      const Index count = std::min(block, end - first);
      sums.add(first, count, groups.back());
      monitor.tick(first + count, m);
    }
  }
  if (n > 0) Finish(groups, options).run(monitor, m);
  std::vector<GrmCounts> counts;
  for (const GroupSums& group : groups) counts.push_back(group.counts);
  return counts;
}

GrmCounts grm(GenotypeSource& source, const GrmOptions& options, Monitor& monitor,
              MatrixRef K) {
  return grm(source, options, monitor, {{K.data(), nullptr}})[0];
}

}  // namespace kinlmm
