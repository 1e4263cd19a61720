#include <cmath>
#include <vector>

#include "check.h"
#include "core/hwe.h"

using namespace kinlmm;

namespace {

double log_weight(Index a, Index h, Index b) {
  return static_cast<double>(h) * std::log(2.0) - std::lgamma(a + 1.0) -
         std::lgamma(h + 1.0) - std::lgamma(b + 1.0);
}

// By its definition: all numbers of heterozygotes that the allele counts allow.
double dense_p(Index a, Index h, Index b, bool midp) {
  const double at = log_weight(a, h, b);
  double all = 0, sum = 0;
  for (Index k = h % 2; a - (k - h) / 2 >= 0 && b - (k - h) / 2 >= 0; k += 2) {
    const double rel = std::exp(log_weight(a - (k - h) / 2, k, b - (k - h) / 2) - at);
    all += rel;
    if (std::abs(rel - 1) < 1e-9) {
      sum += midp ? 0.5 * rel : rel;
    } else if (rel < 1) {
      sum += rel;
    }
  }
  return sum / all;
}

}  // namespace

TEST(hwe_equals_its_definition) {
  for (Index a = 0; a < 12; ++a) {
    for (Index h = 0; h < 14; ++h) {
      for (Index b = 0; b < 12; ++b) {
        if (a + h + b == 0) continue;
        CHECK_NEAR(hwe_p({a, h, b}, false), dense_p(a, h, b, false), 1e-11);
        CHECK_NEAR(hwe_p({a, h, b}, true), dense_p(a, h, b, true), 1e-11);
      }
    }
  }
  CHECK(hwe_p({0, 0, 0}, false) == 1);
}

TEST(hwe_far_in_the_tail) {
  for (const bool midp : {false, true}) {
    const double p = hwe_p({400, 100, 400}, midp);
    CHECK_NEAR(p / dense_p(400, 100, 400, midp), 1, 1e-9);
    CHECK_NEAR(hwe_p({0, 600, 0}, midp) / dense_p(0, 600, 0, midp), 1, 1e-9);
    CHECK_NEAR(
        hwe_p({250000, 500200, 250000}, midp) / dense_p(250000, 500200, 250000, midp), 1,
        1e-5);
    CHECK(hwe_p({500000, 0, 500000}, midp) == 0);
    CHECK(hwe_p({0, 1000000, 0}, midp) == 0);
  }
  const double tiny = hwe_p({400, 60, 400}, false);
  CHECK(tiny > 0 && tiny < 1e-150);
  CHECK_NEAR(tiny / dense_p(400, 60, 400, false), 1, 1e-8);
}

TEST(hwe_does_not_depend_on_the_allele_counted) {
  for (Index a = 0; a < 30; a += 7) {
    CHECK_NEAR(hwe_p({a, 13, 40 - a}, false), hwe_p({40 - a, 13, a}, false), 1e-14);
  }
}
