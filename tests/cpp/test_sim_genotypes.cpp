#include <cmath>
#include <vector>

#include "check.h"
#include "core/sim_genotypes.h"

using namespace kinlmm;

namespace {

SimulationPlan plan_of(Index founders, Index m, double p) {
  SimulationPlan plan;
  for (Index j = 0; j < m; ++j) {
    plan.chromosome.push_back(j < m / 2 ? 1 : 2);
    plan.cm.push_back(static_cast<double>(j < m / 2 ? j : j - m / 2));
  }
  plan.frequency = Matrix::Constant(1, m, p);
  plan.population.assign(static_cast<std::size_t>(founders), 0);
  plan.inbreeding.assign(1, 0);
  plan.seed = 7;
  return plan;
}

std::vector<Call> run(const SimulationPlan& plan, int threads) {
  GenotypeSimulator simulator(plan, threads);
  std::vector<Call> out, batch;
  while (simulator.next(batch) > 0) out.insert(out.end(), batch.begin(), batch.end());
  return out;
}

double mean(const std::vector<Call>& calls) {
  double sum = 0;
  for (Call call : calls) sum += call;
  return sum / static_cast<double>(calls.size());
}

}  // namespace

TEST(sim_genotypes_frequency) {
  for (double p : {0.0, 0.3, 1.0}) {
    const std::vector<Call> calls = run(plan_of(200, 300, p), 2);
    CHECK(calls.size() == 60000);
    CHECK_NEAR(mean(calls), 2 * p, 5 * std::sqrt(2 * p * (1 - p) / 60000));
  }
}

TEST(sim_genotypes_threads_and_seeds) {
  SimulationPlan plan = plan_of(50, 333, 0.4);
  plan.block = 10;
  plan.rho = 0.7;
  plan.missing = 0.1;
  plan.inbreeding[0] = 0.2;
  const std::vector<Call> one = run(plan, 1);
  CHECK(run(plan, 3) == one);
  plan.seed = 8;
  CHECK(run(plan, 1) != one);
}

// A pedigree without meioses is its founders; with missing parents, half of them.
TEST(sim_genotypes_pedigree_of_founders) {
  SimulationPlan plan = plan_of(6, 200, 0.5);
  const std::vector<Call> plain = run(plan, 1);
  plan.pedigree.sire.assign(6, -1);
  plan.pedigree.dam.assign(6, -1);
  plan.order = pedigree_order(plan.pedigree);
  CHECK(run(plan, 2) == plain);
}

// Brother and sister, three generations: where both founders are homozygous for one
// allele, so are all.
TEST(sim_genotypes_transmits_alleles_of_founders) {
  SimulationPlan plan = plan_of(2, 400, 0.5);
  plan.pedigree = {{-1, -1, 0, 0, 2, 2, 4, 4}, {-1, -1, 1, 1, 3, 3, 5, 5}};
  plan.order = pedigree_order(plan.pedigree);
  const std::vector<Call> calls = run(plan, 2);
  int fixed = 0, heterozygous = 0;
  for (std::size_t j = 0; j < 400; ++j) {
    const Call* marker = calls.data() + 8 * j;
    if (marker[0] == marker[1] && marker[0] != 1) {
      ++fixed;
      for (int i = 2; i < 8; ++i) CHECK(marker[i] == marker[0]);
    }
    heterozygous += marker[7] == 1;
  }
  CHECK(fixed > 20);
  // F = 0.375 with unrelated founders
  CHECK_NEAR(heterozygous / 400.0, 0.5 * (1 - 0.375), 0.2);
}

TEST(sim_genotypes_missing) {
  SimulationPlan plan = plan_of(100, 500, 0.5);
  const std::vector<Call> full = run(plan, 1);
  plan.missing = 0.2;
  const std::vector<Call> some = run(plan, 1);
  int gone = 0;
  for (std::size_t k = 0; k < full.size(); ++k) {
    if (some[k] == kNoCall) {
      ++gone;
    } else {
      CHECK(some[k] == full[k]);
    }
  }
  CHECK_NEAR(gone / 50000.0, 0.2, 5 * std::sqrt(0.16 / 50000));
}

// A sire of haplotypes 0...0 and 1...1 and a dam without A1 show every crossover.
TEST(sim_genotypes_recombines) {
  const Index children = 4000, m = 130;  // more than one window
  SimulationPlan plan = plan_of(2, m, 0.5);
  plan.chromosome.assign(static_cast<std::size_t>(m), 1);
  for (Index j = 0; j < m; ++j) plan.cm[j] = 5.0 * static_cast<double>(j);
  plan.block = m;
  plan.rho = 1;
  plan.frequency = Matrix::Zero(2, m);
  plan.frequency.row(0).setConstant(0.5);
  plan.population = {0, 1};
  plan.inbreeding = {0, 0};
  plan.pedigree.sire.assign(static_cast<std::size_t>(children + 2), 0);
  plan.pedigree.dam.assign(static_cast<std::size_t>(children + 2), 1);
  for (int i : {0, 1}) plan.pedigree.sire[i] = plan.pedigree.dam[i] = -1;
  plan.order = pedigree_order(plan.pedigree);
  std::vector<Call> calls;
  do {
    ++plan.seed;
    calls = run(plan, 2);
  } while (calls[0] != 1);
  for (Index i : {0, 62, 63, 64, 100}) {
    for (Index j : {i + 1, i + 4, i + 20}) {
      double recombined = 0;
      for (Index k = 2; k < children + 2; ++k) {
        recombined += calls[i * (children + 2) + k] != calls[j * (children + 2) + k];
      }
      const double r = 0.5 * (1 - std::exp(-2 * 0.05 * static_cast<double>(j - i)));
      CHECK_NEAR(recombined / children, r, 5 * std::sqrt(r * (1 - r) / children));
    }
  }
}
