#include "core/bed_writer.h"
#include "geno_source.h"

using namespace kinlmm;

// Writes the .bed of a source.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_bed_write(Rcpp::List source, std::string path, int block, int threads,
                         SEXP progress) {
  return glue::guarded([&] {
    const auto geno = glue::open_source(source, threads);
    glue::RMonitor monitor(progress);
    BedWriter out(path, geno->samples());
    write_genotypes(*geno, out, block, threads, monitor);
    out.close();
    return Rcpp::List::create();
  });
}
