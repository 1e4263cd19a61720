#include "core/cpu.h"
#include "glue.h"

// Names of the instructions of this processor, the best ones last.
// [[Rcpp::export(rng = false)]]
Rcpp::CharacterVector cpp_cpu_instructions() {
  Rcpp::CharacterVector out;
  for (const auto one : kinlmm::available_instructions()) {
    out.push_back(kinlmm::name_of(one));
  }
  return out;
}
