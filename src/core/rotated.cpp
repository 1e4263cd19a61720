#include "core/rotated.h"

#include <cmath>

namespace kinlmm {

RatioMoments rotated_moments(const RotatedData& data, double tau) {
  const Eigen::ArrayXd d = data.d.array();
  const Eigen::ArrayXd w = 1 / (tau * d + 1);
  const Eigen::ArrayXd w1 = -d * w.square();
  const Eigen::ArrayXd w2 = 2 * d.square() * w.cube();
  const Eigen::ArrayXd count = data.count.size() > 0 ? Eigen::ArrayXd(data.count.array())
                                                     : Eigen::ArrayXd::Ones(d.size());
  RatioMoments m;
  m.logdet = (count * (tau * d).log1p()).sum();
  m.logdet1 = (count * d * w).sum();
  m.logdet2 = -(count * (d * w).square()).sum();
  m.S = data.Xy.transpose() * w.matrix().asDiagonal() * data.Xy + data.within;
  m.S1 = data.Xy.transpose() * w1.matrix().asDiagonal() * data.Xy;
  m.S2 = data.Xy.transpose() * w2.matrix().asDiagonal() * data.Xy;
  if (data.intercept.size() > 0) {
    const Eigen::ArrayXd c2 = data.intercept.array().square();
    const double s = (w * c2).sum(), s1 = (w1 * c2).sum(), s2 = (w2 * c2).sum();
    m.logdet += std::log(s);
    m.logdet1 += s1 / s;
    m.logdet2 += s2 / s - (s1 / s) * (s1 / s);
  }
  return m;
}

Point rotated_criterion(const RotatedData& data, bool reml, double tau) {
  return profiled_criterion(rotated_moments(data, tau), data.n, reml, tau);
}

IntervalMinimum fit_rotated(const RotatedData& data, bool reml) {
  std::vector<double> grid;
  for (double ratio = 1e-6; ratio < 0.9 * data.upper; ratio *= 3.1622776601683795) {
    grid.push_back(ratio / data.unit);
  }
  grid.push_back(data.upper / data.unit);
  return minimise_on_interval(
      [&](double tau) { return rotated_criterion(data, reml, tau); }, grid);
}

}  // namespace kinlmm
