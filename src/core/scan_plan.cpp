#include "core/scan_plan.h"

#include <algorithm>
#include <cmath>

namespace kinlmm {

Optimum search(const Chebyshev& chebyshev, const double* f, Index count) {
  Optimum best;
  for (Index i = 0; i < count; ++i) {
    const ChebyshevMinimum m = chebyshev.minimise(f + i * chebyshev.size());
    if (m.value < best.value) best = {i, m.x, m.value};
  }
  return best;
}

ScanPlan::ScanPlan(const NullModel& null, bool per_marker, Index nodes, double half_width)
    : chebyshev_(nodes), per_marker_(per_marker && null.d.maxCoeff() > 0) {
  lambda_ = {0, null.lambda_ml};
  if (!per_marker_) {
    lambda_.push_back(null.lambda_reml);
    return;
  }
  tiling_ = tile_range(null, half_width);
  const Index first = main_first(), end = first + main_count(), count = panels();
  for (Index i = first; i < end; ++i) add_panel(i, lambda_);
  for (Index i = first - 1; i >= 0; --i) add_coarse(i, {0.5, -0.5}, below_);
  if (first > 0) below_.push_back(kZero);
  for (Index i = end; i < count; ++i) add_coarse(i, {-0.5, 0.5}, above_);
  if (end < count) add_coarse(count - 1, {1}, above_);
  for (Index i = 0; i < count; ++i) add_panel(i, wide_lambda_);
}

void ScanPlan::add_panel(Index panel, std::vector<double>& to) const {
  for (Index l = 0; l < chebyshev_.size(); ++l) {
    to.push_back(lambda_at(panel, chebyshev_.nodes()[l]));
  }
}

void ScanPlan::add_coarse(Index panel, std::initializer_list<double> x,
                          std::vector<Index>& side) {
  for (double at : x) {
    side.push_back(static_cast<Index>(lambda_.size()));
    lambda_.push_back(lambda_at(panel, at));
  }
}

namespace {

// f at the nodes, outwards. Where f falls, a minimum is near; a parabola through a node
// and its neighbours falls below the node by at most an eighth of the larger step.
bool stays_above(const double* f, double best, const std::vector<Index>& nodes) {
  double last = best;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const double here = f[nodes[i]];
    const double next = i + 1 < nodes.size() ? f[nodes[i + 1]] : here;
    const double step = std::max(std::abs(here - last), std::abs(next - here));
    if (!(here >= last) && !(here - step > best)) return false;
    last = here;
  }
  return true;
}

}  // namespace

bool ScanPlan::is_global(const double* f, const Optimum& best) const {
  if (!below_.empty() && best.panel == 0 && best.x <= -1) return false;
  if (!above_.empty() && best.panel == main_count() - 1 && best.x >= 1) return false;
  return stays_above(f, best.value, below_) && stays_above(f, best.value, above_);
}

}  // namespace kinlmm
