// Where a scan evaluates the profiles (profile.h), and how it finds their optima.
#pragma once

#include <initializer_list>
#include <limits>
#include <vector>

#include "core/chebyshev.h"
#include "core/profile.h"
#include "core/types.h"

namespace kinlmm {

struct Optimum {
  Index panel = 0;  // among those searched
  double x = 0;     // within the panel
  double value = std::numeric_limits<double>::infinity();
};

// Best of the minima of `count` adjacent panels, each with chebyshev.size() values in f.
Optimum search(const Chebyshev& chebyshev, const double* f, Index count);

// Which values of lambda every marker is computed at, in this order: 0, the null's ML
// optimum, then either the null's REML optimum alone or the main panels and the coarse
// nodes, two in every other panel and one at each end of the range.
class ScanPlan {
 public:
  static constexpr Index kZero = 0, kNullMl = 1, kNullReml = 2, kMain = 2;

  // nodes per panel; half_width of a panel in log lambda. per_marker: search for each
  // marker's own optimum, unless no eigenvalue is positive.
  ScanPlan(const NullModel& null, bool per_marker, Index nodes, double half_width);

  const Chebyshev& chebyshev() const { return chebyshev_; }
  bool per_marker() const { return per_marker_; }
  const std::vector<double>& lambda() const { return lambda_; }
  // The nodes of all panels, none if not per_marker().
  const std::vector<double>& wide_lambda() const { return wide_lambda_; }

  Index panels() const { return static_cast<Index>(tiling_.panels.size()); }
  Index main_first() const { return tiling_.main_first; }
  Index main_count() const { return tiling_.main_count; }
  double lambda_at(Index panel, double x) const {
    return tiling_.panels[panel].lambda(x);
  }

  // Whether the values f at lambda() show no better optimum than `best`, that of the main
  // panels: it is not at an edge inside the range, and f rises from it to both ends, or
  // at least stays clear of it.
  bool is_global(const double* f, const Optimum& best) const;

 private:
  void add_panel(Index panel, std::vector<double>& to) const;
  void add_coarse(Index panel, std::initializer_list<double> x, std::vector<Index>& side);

  Chebyshev chebyshev_;
  bool per_marker_;
  Tiling tiling_;
  std::vector<double> lambda_, wide_lambda_;
  std::vector<Index> below_, above_;  // coarse nodes, outwards from the main panels
};

}  // namespace kinlmm
