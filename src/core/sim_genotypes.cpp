#include "core/sim_genotypes.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/parallel.h"

namespace kinlmm {

namespace {

constexpr Index kBatchCalls = Index(1) << 25;
constexpr Index kWindow = 64;
constexpr std::uint64_t kLow = 0xffffffffu;

enum Purpose : std::uint64_t { kFounders, kMeioses, kMissing };

Random stream(std::uint64_t seed, Purpose purpose, Index number) {
  return Random(seed, static_cast<std::uint64_t>(number) * 4 + purpose);
}

// A number of 32 random bits is below this with probability p.
std::uint64_t threshold(double p) {
  return static_cast<std::uint64_t>(p * 0x1p32);
}

}  // namespace

GenotypeSimulator::GenotypeSimulator(SimulationPlan plan, int threads)
    : plan_(std::move(plan)),
      threads_(threads),
      m_(static_cast<Index>(plan_.cm.size())),
      founders_(static_cast<Index>(plan_.population.size())) {
  n_ = plan_.pedigree.size() > 0 ? plan_.pedigree.size() : founders_;
  make_blocks();
  if (plan_.pedigree.size() > 0) make_founders();
}

bool GenotypeSimulator::begins_chromosome(Index marker) const {
  return marker == 0 || plan_.chromosome[marker] != plan_.chromosome[marker - 1];
}

void GenotypeSimulator::make_blocks() {
  for (Index j = 0; j < m_; ++j) {
    if (begins_chromosome(j) || blocks_.back().count == plan_.block) {
      blocks_.push_back({j, 0});
    }
    ++blocks_.back().count;
  }
}

void GenotypeSimulator::make_founders() {
  const Pedigree& ped = plan_.pedigree;
  founder_.assign(static_cast<std::size_t>(n_), -1);
  from_.assign(static_cast<std::size_t>(2 * n_), 0);
  int count = 0;
  for (Index i = 0; i < n_; ++i) {
    if (ped.sire[i] < 0 || ped.dam[i] < 0) founder_[i] = count++;
    for (Index k = 0; k < 2; ++k) {
      meioses_.push_back({stream(plan_.seed, kMeioses, 2 * i + k), 0, false});
    }
  }
}

Index GenotypeSimulator::next(std::vector<Call>& calls) {
  const std::size_t begin = next_block_;
  const Index most = std::max<Index>(kWindow, kBatchCalls / std::max<Index>(1, n_));
  Index count = 0;
  while (next_block_ < blocks_.size() &&
         (count == 0 || count + blocks_[next_block_].count <= most)) {
    count += blocks_[next_block_++].count;
  }
  if (count == 0) return 0;
  const Index first = blocks_[begin].first;
  std::vector<unsigned char> pairs(static_cast<std::size_t>(founders_ * count));
  parallel_for(static_cast<Index>(next_block_ - begin), threads_, [&](Index b) {
    const Index block = static_cast<Index>(begin) + b;
    simulate_block(block, pairs.data() + (blocks_[block].first - first) * founders_);
  });
  calls.resize(static_cast<std::size_t>(n_ * count));
  if (!founder_.empty()) {
    drop(first, count, pairs, calls.data());
  } else {
    parallel_for(count, threads_, [&](Index j) {
      for (Index i = j * n_; i < (j + 1) * n_; ++i) {
        calls[i] = static_cast<Call>((pairs[i] & 1) + (pairs[i] >> 1));
      }
    });
  }
  if (plan_.missing > 0) {
    parallel_for(count, threads_,
                 [&](Index j) { lose(first + j, calls.data() + j * n_); });
  }
  return count;
}

// Pairs of haplotypes: bit 0 the first (of the sire), bit 1 the second (of the dam).
// haplotypes: founders_ x the markers of the block.
void GenotypeSimulator::simulate_block(Index block, unsigned char* haplotypes) const {
  const Index first = blocks_[block].first, count = blocks_[block].count;
  const std::size_t K = plan_.inbreeding.size();
  Random random = stream(plan_.seed, kFounders, block);
  std::vector<unsigned char> one(static_cast<std::size_t>(founders_), 0);
  if (std::any_of(plan_.inbreeding.begin(), plan_.inbreeding.end(),
                  [](double F) { return F > 0; })) {
    for (Index i = 0; i < founders_; ++i) {
      one[i] = random.bernoulli(plan_.inbreeding[plan_.population[i]]);
    }
  }
  const std::uint64_t keep = threshold(plan_.rho);
  const bool linked = keep > 0 && count > 1;
  std::vector<std::uint32_t> level(linked ? static_cast<std::size_t>(2 * founders_) : 0);
  std::vector<std::uint64_t> below(K);
  for (Index j = 0; j < count; ++j) {
    for (std::size_t k = 0; k < K; ++k) {
      below[k] = threshold(plan_.frequency(static_cast<Index>(k), first + j));
    }
    if (linked) {
      for (std::uint32_t& u : level) {
        const std::uint64_t bits = random.bits();
        if (j == 0 || bits >> 32 >= keep) u = static_cast<std::uint32_t>(bits & kLow);
      }
    }
    unsigned char* out = haplotypes + j * founders_;
    for (Index i = 0; i < founders_; ++i) {
      const std::uint64_t bits =
          linked ? static_cast<std::uint64_t>(level[2 * i + 1]) << 32 | level[2 * i]
                 : random.bits();
      const std::uint64_t p = below[plan_.population[i]];
      const unsigned a = (bits & kLow) < p, b = one[i] ? a : (bits >> 32) < p;
      out[i] = static_cast<unsigned char>(a | b << 1);
    }
  }
}

void GenotypeSimulator::drop(Index first, Index count,
                             const std::vector<unsigned char>& founders, Call* calls) {
  for (Index at = 0; at < count;) {
    Index size = 1;
    while (size < std::min(kWindow, count - at) &&
           !begins_chromosome(first + at + size)) {
      ++size;
    }
    parallel_for(2 * n_, threads_,
                 [&](Index k) { from_[k] = walk(meioses_[k], first + at, size); });
    parallel_for(size, threads_, [&](Index bit) {
      Call* out = calls + (at + bit) * n_;
      std::vector<unsigned char> pairs(static_cast<std::size_t>(n_));
      transmit(bit, founders.data() + (at + bit) * founders_, pairs.data());
      for (Index i = 0; i < n_; ++i) {
        out[i] = static_cast<Call>((pairs[i] & 1) + (pairs[i] >> 1));
      }
    });
    at += size;
  }
}

// Crossovers are a Poisson process of one a Morgan (Haldane: no interference).
std::uint64_t GenotypeSimulator::walk(Meiosis& meiosis, Index first, Index count) const {
  if (begins_chromosome(first)) {
    meiosis.second = meiosis.random.bernoulli(0.5);
    meiosis.crossover = plan_.cm[first] + 100 * meiosis.random.exponential();
  }
  if (meiosis.crossover > plan_.cm[first + count - 1]) {
    return meiosis.second ? ~std::uint64_t(0) : 0;
  }
  std::uint64_t out = 0;
  for (Index j = 0; j < count; ++j) {
    while (meiosis.crossover <= plan_.cm[first + j]) {
      meiosis.second = !meiosis.second;
      meiosis.crossover += 100 * meiosis.random.exponential();
    }
    out |= static_cast<std::uint64_t>(meiosis.second) << j;
  }
  return out;
}

void GenotypeSimulator::transmit(Index bit, const unsigned char* founders,
                                 unsigned char* pairs) const {
  const Pedigree& ped = plan_.pedigree;
  for (int i : plan_.order) {
    unsigned pair = founder_[i] < 0 ? 0u : founders[founder_[i]];
    const int sire = ped.sire[i], dam = ped.dam[i];
    if (sire >= 0) {
      const unsigned side = from_[2 * static_cast<Index>(i)] >> bit & 1;
      pair = (pair & 2u) | (pairs[sire] >> side & 1u);
    }
    if (dam >= 0) {
      const unsigned side = from_[2 * static_cast<Index>(i) + 1] >> bit & 1;
      pair = (pair & 1u) | (pairs[dam] >> side & 1u) << 1;
    }
    pairs[i] = static_cast<unsigned char>(pair);
  }
}

void GenotypeSimulator::lose(Index marker, Call* calls) const {
  Random random = stream(plan_.seed, kMissing, marker);
  const double rate = -std::log1p(-plan_.missing);
  for (double i = std::floor(random.exponential() / rate); i < static_cast<double>(n_);
       i += 1 + std::floor(random.exponential() / rate)) {
    calls[static_cast<Index>(i)] = kNoCall;
  }
}

}  // namespace kinlmm
