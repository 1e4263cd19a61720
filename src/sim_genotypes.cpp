#include "core/sim_genotypes.h"

#include "core/bed_writer.h"
#include "pedigree.h"

using namespace kinlmm;

namespace {

// See simulation_plan() in R.
SimulationPlan as_plan(const Rcpp::List& x) {
  SimulationPlan plan;
  plan.chromosome = Rcpp::as<std::vector<int>>(x["chromosome"]);
  plan.cm = Rcpp::as<std::vector<double>>(x["cm"]);
  plan.frequency = glue::map(Rcpp::NumericMatrix(SEXP(x["frequency"])));
  plan.population = Rcpp::as<std::vector<int>>(x["population0"]);
  plan.inbreeding = Rcpp::as<std::vector<double>>(x["inbreeding"]);
  plan.block = Rcpp::as<int>(x["block"]);
  plan.rho = Rcpp::as<double>(x["rho"]);
  plan.missing = Rcpp::as<double>(x["missing"]);
  plan.pedigree = glue::as_pedigree(x["sire"], x["dam"]);
  plan.order = pedigree_order(plan.pedigree);
  plan.seed = glue::seed_of(x["seed"]);
  return plan;
}

}  // namespace

// Simulated genotypes as a matrix, samples x markers.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_sim_matrix(Rcpp::List plan, int threads, SEXP progress) {
  return glue::guarded([&] {
    GenotypeSimulator simulator(as_plan(plan), threads);
    glue::RMonitor monitor(progress);
    const Index n = simulator.samples(), m = simulator.markers();
    Rcpp::NumericMatrix out(Rcpp::no_init(static_cast<int>(n), static_cast<int>(m)));
    std::vector<Call> calls;
    double* to = out.begin();
    for (Index done = 0; done < m;) {
      done += simulator.next(calls);
      for (const Call call : calls) *to++ = call == kNoCall ? NA_REAL : call;
      monitor.tick(done, m);
    }
    return Rcpp::List::create(Rcpp::_["genotypes"] = out);
  });
}

// The same, written as a .bed.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_sim_bed(Rcpp::List plan, std::string path, int threads, SEXP progress) {
  return glue::guarded([&] {
    GenotypeSimulator simulator(as_plan(plan), threads);
    glue::RMonitor monitor(progress);
    const Index m = simulator.markers();
    BedWriter out(path, simulator.samples());
    std::vector<Call> calls;
    for (Index done = 0; done < m;) {
      const Index count = simulator.next(calls);
      out.write(calls.data(), count, threads);
      done += count;
      monitor.tick(done, m);
    }
    out.close();
    return Rcpp::List::create();
  });
}
