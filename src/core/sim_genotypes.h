// Genotypes of a simulated population, by batches of markers: haplotypes of founders with
// linkage disequilibrium by blocks, populations and inbreeding, dropped through a
// pedigree with recombination.
#pragma once

#include <cstdint>
#include <vector>

#include "core/bed_writer.h"
#include "core/pedigree.h"
#include "core/random.h"
#include "core/types.h"

namespace kinlmm {

struct SimulationPlan {
  std::vector<int> chromosome;     // m: numbers that differ between neighbours where a
                                   // chromosome ends
  std::vector<double> cm;          // m: positions, ascending on a chromosome
  Matrix frequency;                // K x m: of A1 in each population
  std::vector<int> population;     // of each founder, 0, ..., K - 1
  std::vector<double> inbreeding;  // K: the chance that both haplotypes of a founder are
                                   // one, block by block
  Index block = 1;                 // markers
  double rho = 0;      // chance that a haplotype goes on as it was at the next marker of
                       // the block
  double missing = 0;  // share of genotypes
  Pedigree pedigree;   // empty: the founders are the samples. Else an animal with an
                       // unknown parent is the next founder, in its order
  std::vector<int> order;  // pedigree_order()
  std::uint64_t seed = 0;
};

// A haplotype carries a level u that is uniform on (0, 1), and A1 wherever u is below the
// frequency of A1. Along a block it keeps its u from marker to marker with probability
// rho, and else draws a new one. Two markers d apart, of frequencies p <= q, thus have
// the correlation rho^d sqrt(p (1 - q) / (q (1 - p))).
//
// Every block, every meiosis, and the missing genotypes of every marker have streams of
// random numbers of their own, so that results depend on the plan alone.
class GenotypeSimulator {
 public:
  GenotypeSimulator(SimulationPlan plan, int threads);

  Index samples() const { return n_; }
  Index markers() const { return m_; }
  // Simulates the next markers, whole blocks, into `calls` (samples() x the count that is
  // returned, one marker a column); 0 at the end.
  Index next(std::vector<Call>& calls);

 private:
  struct Block {
    Index first, count;
  };
  // One parent's gamete: which of its haplotypes is transmitted here, and where that
  // changes next.
  struct Meiosis {
    Random random;
    double crossover;
    bool second;
  };

  void make_blocks();
  void make_founders();
  void simulate_block(Index block, unsigned char* haplotypes) const;
  void drop(Index first, Index count, const std::vector<unsigned char>& founders,
            Call* calls);
  std::uint64_t walk(Meiosis& meiosis, Index first, Index count) const;
  void transmit(Index bit, const unsigned char* founders, unsigned char* pairs) const;
  void lose(Index marker, Call* calls) const;
  bool begins_chromosome(Index marker) const;

  SimulationPlan plan_;
  int threads_;
  Index n_, m_, founders_;
  std::vector<Block> blocks_;
  std::size_t next_block_ = 0;
  std::vector<int> founder_;      // n: which founder, -1 for none; empty without pedigree
  std::vector<Meiosis> meioses_;  // 2n: of the sire and the dam of each
  std::vector<std::uint64_t> from_;  // 2n: bit k: whether the second haplotype of that
                                     // parent is transmitted at marker k of the window
};

}  // namespace kinlmm
