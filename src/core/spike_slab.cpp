#include "core/spike_slab.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/parallel.h"

namespace kinlmm {

namespace {

constexpr Index kReadBlock = 256;
// A dot product in single precision is summed in double over pieces of this length.
constexpr Index kPiece = 2048;
constexpr Index kWindow = 25;   // markers on each side to exchange with
constexpr Index kRefresh = 25;  // sweeps between refreshed residuals

using Column = Eigen::Map<const Eigen::VectorXf>;

double dot(const float* z, const float* r, Index n) {
  double sum = 0;
  for (Index i = 0; i < n; i += kPiece) {
    const Index size = std::min(kPiece, n - i);
    sum += static_cast<double>(Column(z + i, size).dot(Column(r + i, size)));
  }
  return sum;
}

double logit(double x) {
  return std::log(x) - std::log1p(-x);
}

}  // namespace

MarkerTable standardized_markers(GenotypeSource& source, bool expected, int threads,
                                 Monitor& monitor) {
  const Index n = source.samples(), m = source.markers();
  MarkerTable out;
  out.Z.resize(n, m);
  std::vector<double> mean, scale;
  Matrix G(n, std::min(kReadBlock, m));  // n x block
  for (Index first = 0; first < m; first += kReadBlock) {
    const Index count = std::min(kReadBlock, m - first);
    source.read(first, count, G.leftCols(count));
    const auto summaries = summarise_and_impute(G.leftCols(count), threads);
    for (Index j = 0; j < count; ++j) {
      const MarkerSummary& s = summaries[static_cast<std::size_t>(j)];
      if (s.monomorphic) continue;
      const double p = s.mean / 2;
      mean.push_back(s.mean);
      scale.push_back(std::sqrt(expected ? 2 * p * (1 - p) : s.variance));
      const Index to = static_cast<Index>(out.markers.size());
      out.Z.col(to) = ((G.col(j).array() - s.mean) / scale.back()).cast<float>();
      out.markers.push_back(first + j);
    }
    monitor.tick(0, 1);
  }
  const Index kept = static_cast<Index>(mean.size());
  if (kept < m) out.Z.conservativeResize(n, kept);
  out.mean = Eigen::Map<Vector>(mean.data(), kept);
  out.scale = Eigen::Map<Vector>(scale.data(), kept);
  return out;
}

SpikeModel::SpikeModel(MarkerTable table, Vector y, Matrix Q, bool restricted,
                       int threads)
    : table_(std::move(table)),
      y_(std::move(y)),
      Q_(std::move(Q)),
      QZ_(Q_.cols(), table_.Z.cols()),
      Qy_(Q_.transpose() * y_),
      norm_(table_.Z.cols()),
      Zy_(table_.Z.cols()),
      yy_(y_.squaredNorm()),
      restricted_(restricted) {
  parallel_for(m(), threads, [&](Index j) {
    const Vector z = table_.Z.col(j).cast<double>();
    for (Index k = 0; k < p(); ++k) QZ_(k, j) = Q_.col(k).dot(z);
    norm_[j] = z.squaredNorm() - (restricted_ ? QZ_.col(j).squaredNorm() : 0);
    // nothing of a marker within the span of X is left but rounding
    if (norm_[j] < 1e-6 * z.squaredNorm()) norm_[j] = 0;
    Zy_[j] = z.dot(y_) - (restricted_ ? QZ_.col(j).dot(Qy_) : 0);
  });
}

Vector SpikeModel::genetic(const Vector& b) const {
  Vector out = Vector::Zero(n());
  for (Index j = 0; j < m(); ++j) {
    if (b[j] != 0) out.noalias() += b[j] * table_.Z.col(j).cast<double>();
  }
  return out;
}

SpikeSums& SpikeSums::operator+=(const SpikeSums& other) {
  sweeps += other.sweeps;
  active += other.active;
  squares += other.squares;
  residual += other.residual;
  cross += other.cross;
  outside += other.outside;
  tt += other.tt;
  ft += other.ft;
  excess += other.excess;
  noise += other.noise;
  if (Qr.size() == 0) {
    Qr = other.Qr;
  } else {
    Qr += other.Qr;
  }
  return *this;
}

SpikeProducts spike_products(const SpikeModel& model, const SpikeSums& sums) {
  const Vector Qr = sums.Qr / sums.sweeps;
  double cross = sums.cross / sums.sweeps, residual = sums.residual / sums.sweeps;
  if (model.restricted_) {
    cross -= Qr.dot(model.Qy_);
    residual -= sums.outside / sums.sweeps;
  }
  return {model.yy() - cross, model.yy() - 2 * cross + residual, model.Qy_ - Qr};
}

SpikeChain::SpikeChain(const SpikeModel& model, const Vector& b, Random random)
    : model_(model),
      b_(b),
      r_(model.n()),
      c_(Vector::Zero(model.p())),
      shrink_(model.m()),
      base_(model.m()),
      place_(static_cast<std::size_t>(model.m()), -1),
      random_(random) {
  for (Index j = 0; j < b_.size(); ++j) {
    if (b_[j] == 0) continue;
    place_[static_cast<std::size_t>(j)] = static_cast<Index>(active_.size());
    active_.push_back(j);
  }
  refresh();
}

void SpikeChain::refresh() {
  const Vector r = model_.y_ - model_.genetic(b_);
  r_ = r.cast<float>();
  if (model_.restricted_) c_ = model_.Q_.transpose() * r;
}

void SpikeChain::rescale(double factor) {
  b_ *= factor;
  r_ = ((1 - factor) * model_.y_ + factor * r_.cast<double>()).cast<float>();
  if (model_.restricted_) c_ = (1 - factor) * model_.Qy_ + factor * c_;
}

void SpikeChain::prepare(const SpikeParameters& at) {
  if (!model_.restricted_) c_ = at.gamma;
  if (prepared_[0] == at.pi && prepared_[1] == at.sigma_g2 &&
      prepared_[2] == at.sigma_e2) {
    return;
  }
  prepared_[0] = at.pi;
  prepared_[1] = at.sigma_g2;
  prepared_[2] = at.sigma_e2;
  const double slab = model_.slab(at), prior = logit(at.pi);
  for (Index j = 0; j < model_.m(); ++j) {
    const double total = at.sigma_e2 + slab * model_.norm_[j];
    shrink_[j] = slab / total;
    base_[j] = prior + 0.5 * std::log(at.sigma_e2 / total);
  }
}

void SpikeChain::set(Index j, double value) {
  const double change = value - b_[j];
  if (change != 0) {
    r_ -= static_cast<float>(change) * model_.table_.Z.col(j);
    if (model_.restricted_) c_ -= change * model_.QZ_.col(j);
  }
  auto& place = place_[static_cast<std::size_t>(j)];
  if (value != 0 && place < 0) {
    place = static_cast<Index>(active_.size());
    active_.push_back(j);
  } else if (value == 0 && place >= 0) {
    active_[static_cast<std::size_t>(place)] = active_.back();
    place_[static_cast<std::size_t>(active_.back())] = place;
    active_.pop_back();
    place = -1;
  }
  b_[j] = value;
}

double SpikeChain::inner(Index j) const {
  double out = dot(model_.table_.Z.col(j).data(), r_.data(), model_.n());
  for (Index k = 0; k < c_.size(); ++k) out -= c_[k] * model_.QZ_(k, j);
  return out;
}

std::array<double, 2> SpikeChain::lengths() const {
  const double rr = dot(r_.data(), r_.data(), r_.size());
  const double yr = model_.y_.dot(r_.cast<double>());
  if (model_.restricted_) return {rr - c_.squaredNorm(), yr - c_.dot(model_.Qy_)};
  const double taken = c_.dot(model_.Q_.transpose() * r_.cast<double>());
  return {rr - 2 * taken + c_.squaredNorm(),
          yr - taken - c_.dot(model_.Qy_) + c_.squaredNorm()};
}

void SpikeChain::sweep(const SpikeParameters& at, SpikeSums& sums, SpikeMeans* means) {
  prepare(at);
  const double half = 0.5 / at.sigma_e2, slab = model_.slab(at);
  const double size = static_cast<double>(model_.m());
  double active = 0, squares = 0, tt_sum = 0, ft_sum = 0;
  Eigen::Array4d noise = Eigen::Array4d::Zero();
  auto [tt, ft] = lengths();
  for (Index j = 0; j < model_.m(); ++j) {
    const double before = b_[j], norm = model_.norm_[j], zt = inner(j);
    const double x = zt + norm * before;
    const double mean = shrink_[j] * x, variance = at.sigma_e2 * shrink_[j];
    const double odds = base_[j] + half * x * mean;
    const double included = 1 / (1 + std::exp(-odds));
    const double effect = included * mean;
    const double square = included * (variance + mean * mean);
    active += included;
    squares += square;
    if (means) {
      means->inclusion[j] += included;
      means->effect[j] += effect;
      means->square[j] += square;
    }
    const bool in = random_.bernoulli(included);
    const double value = in ? mean + std::sqrt(variance) * random_.normal() : 0;
    if (in || before != 0) set(j, value);
    double zf = model_.Zy_[j];
    if (!model_.restricted_) zf -= c_.dot(model_.QZ_.col(j));
    const double change = value - before, surprise = value - effect;
    const double surprise2 = value * value - square;
    tt += change * (change * norm - 2 * zt);
    ft -= change * zf;
    tt_sum += tt;
    ft_sum += ft;
    noise += Eigen::Array4d(zf * surprise, norm * surprise2 - 2 * x * surprise,
                            (in ? 1 : 0) - included, surprise2);
  }
  sums.tt += tt_sum / size;
  sums.ft += ft_sum / size;
  sums.excess += squares / slab - active;
  sums.noise += noise * Eigen::Array4d(1 / at.sigma_e2, 1 / at.sigma_e2, 1, 1 / slab);
  if (2 * static_cast<Index>(active_.size()) < model_.m()) exchange(at);
  ++sums.sweeps;
  sums.active += active;
  sums.squares += squares;
  sums.residual += dot(r_.data(), r_.data(), r_.size());
  sums.cross += model_.y_.dot(r_.cast<double>());
  const Vector Qr = model_.restricted_ ? c_ : model_.Q_.transpose() * r_.cast<double>();
  sums.outside += Qr.squaredNorm();
  if (sums.Qr.size() == 0) {
    sums.Qr = Qr;
  } else {
    sums.Qr += Qr;
  }
  if (means) ++means->sweeps;
}

// Metropolis: an active marker gives its place to a neighbour, with both effects
// integrated out. How many are active stays the same, so that the proposal is symmetric.
void SpikeChain::exchange(const SpikeParameters& at) {
  const double half = 0.5 / at.sigma_e2;
  const std::size_t count = active_.size();
  for (std::size_t i = 0; i < count; ++i) {
    const Index j = active_[static_cast<std::size_t>(
        random_.below(static_cast<Index>(active_.size())))];
    Index step = random_.below(2 * kWindow) - kWindow;
    if (step >= 0) ++step;
    const Index k = j + step;
    if (k < 0 || k >= model_.m() || b_[k] != 0) continue;
    // both as they are without j
    const double from = inner(j) + model_.norm_[j] * b_[j];
    const double to = inner(k) + product(j, k) * b_[j];
    const double gain =
        base_[k] - base_[j] + half * (shrink_[k] * to * to - shrink_[j] * from * from);
    if (std::log(random_.uniform()) >= gain) continue;
    set(j, 0);
    set(k, shrink_[k] * to + std::sqrt(at.sigma_e2 * shrink_[k]) * random_.normal());
  }
}

double SpikeChain::product(Index j, Index k) const {
  const Eigen::MatrixXf& Z = model_.table_.Z;
  const double out = dot(Z.col(j).data(), Z.col(k).data(), model_.n());
  return model_.restricted_ ? out - model_.QZ_.col(j).dot(model_.QZ_.col(k)) : out;
}

SpikeSums SpikeChain::sweeps(const SpikeParameters& at, Index count) {
  SpikeSums sums;
  for (Index i = 0; i < count; ++i) {
    if (i % kRefresh == 0) refresh();
    sweep(at, sums, nullptr);
  }
  return sums;
}

}  // namespace kinlmm
