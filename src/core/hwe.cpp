#include "core/hwe.h"

#include <algorithm>

namespace kinlmm {

namespace {

constexpr double kTie = 1e-9;  // relative; of rounding in some thousands of products
constexpr double kNegligible = 1e-17;
constexpr double kLarge = 1e200;

// Genotypes of given allele counts, and the probability of their number of heterozygotes,
// relative to that of the observed one times kLarge^-scaled.
struct State {
  double homozygous_a, heterozygous, homozygous_b;
  double probability = 1;

  // One heterozygote of each kind more or less; no if there are none left.
  bool more() {
    if (homozygous_a < 1 || homozygous_b < 1) return false;
    probability *=
        4 * homozygous_a * homozygous_b / ((heterozygous + 1) * (heterozygous + 2));
    --homozygous_a, --homozygous_b, heterozygous += 2;
    return true;
  }
  bool fewer() {
    if (heterozygous < 2) return false;
    probability *=
        heterozygous * (heterozygous - 1) / (4 * (homozygous_a + 1) * (homozygous_b + 1));
    ++homozygous_a, ++homozygous_b, heterozygous -= 2;
    return true;
  }
};

// Beyond `at`, where probabilities fall.
double tail(State at, bool (State::*step)()) {
  double sum = 0;
  while ((at.*step)() && at.probability > kNegligible * sum) sum += at.probability;
  return sum;
}

}  // namespace

double hwe_p(const std::array<Index, 3>& genotypes, bool midp) {
  State at{static_cast<double>(genotypes[0]), static_cast<double>(genotypes[1]),
           static_cast<double>(genotypes[2])};
  State next = at;
  const bool up = next.more() && next.probability >= 1 - kTie;
  const auto inwards = up ? &State::more : &State::fewer;
  const auto outwards = up ? &State::fewer : &State::more;
  double likely = 0, ties = 1, less = tail(at, outwards), one = 1;
  // over the mode, to where probabilities are as small again
  while ((at.*inwards)()) {
    if (at.probability <= one * (1 + kTie)) {
      const bool tie = at.probability >= one * (1 - kTie);
      (tie ? ties : less) += at.probability;
      less += tail(at, inwards);
      break;
    }
    likely += at.probability;
    if (at.probability < kLarge) continue;
    if (one < 1) return 0;
    for (double* value : {&likely, &ties, &less, &one, &at.probability}) *value /= kLarge;
  }
  const double p = (less + (midp ? ties / 2 : ties)) / (less + ties + likely);
  return std::min(1.0, p);
}

}  // namespace kinlmm
