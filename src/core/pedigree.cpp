#include "core/pedigree.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <tuple>

#include "core/error.h"
#include "core/parallel.h"

namespace kinlmm {

namespace {

using Ints = std::vector<int>;

// Generations: 0 for animals without known parents, else one more than the later
// parent's; -1 for animals of a loop and their descendants.
Ints generations(const Pedigree& ped) {
  const int n = static_cast<int>(ped.size());
  Ints waiting(n, 0), start(n + 1, 0), level(n, 0);
  for (int i = 0; i < n; ++i) {
    for (int parent : {ped.sire[i], ped.dam[i]}) {
      if (parent < 0) continue;
      ++waiting[i];
      ++start[parent + 1];
    }
  }
  for (int i = 0; i < n; ++i) start[i + 1] += start[i];
  Ints progeny(start[n]), next(start.begin(), start.end() - 1), queue;
  for (int i = 0; i < n; ++i) {
    for (int parent : {ped.sire[i], ped.dam[i]}) {
      if (parent >= 0) progeny[next[parent]++] = i;
    }
    if (waiting[i] == 0) queue.push_back(i);
  }
  queue.reserve(n);
  for (std::size_t at = 0; at < queue.size(); ++at) {
    const int i = queue[at];
    for (int k = start[i]; k < start[i + 1]; ++k) {
      const int child = progeny[k];
      level[child] = std::max(level[child], level[i] + 1);
      if (--waiting[child] == 0) queue.push_back(child);
    }
  }
  for (int i = 0; i < n; ++i) {
    if (waiting[i] > 0) level[i] = -1;
  }
  return level;
}

// Follows parents whose level is -1, of which every such animal has one, until one comes
// again.
[[noreturn]] void throw_loop(const Pedigree& ped, const Ints& level) {
  const auto bad = [&](int i) { return i >= 0 && level[i] < 0; };
  int i = static_cast<int>(std::find(level.begin(), level.end(), -1) - level.begin());
  Ints path, place(level.size(), -1);
  while (place[i] < 0) {
    place[i] = static_cast<int>(path.size());
    path.push_back(i);
    i = bad(ped.sire[i]) ? ped.sire[i] : ped.dam[i];
  }
  path.push_back(i);
  Error::Data data;
  for (std::size_t k = static_cast<std::size_t>(place[i]); k < path.size(); ++k) {
    data.emplace_back(std::to_string(data.size() + 1), path[k]);
  }
  throw Error("pedigree_loop", data);
}

double mendelian_variance(const Pedigree& ped, const Vector& F, Index i) {
  const int sire = ped.sire[i], dam = ped.dam[i];
  return 1 - (sire < 0 ? 0 : 0.25 * (1 + F[sire])) - (dam < 0 ? 0 : 0.25 * (1 + F[dam]));
}

constexpr int kLanes = 8;
constexpr int kChunks = 32;  // of a worker between two ticks of the monitor
using Lanes = Eigen::Array<double, kLanes, 1>;

// Parents of one animal, and the variance of its Mendelian sampling.
struct Descent {
  int sire, dam;
  double D;
};

// The animals that have progeny, renumbered so that parents come first, by generation.
struct Parents {
  Ints number;                   // of every animal, -1 without progeny
  Ints animal;                   // of every number
  std::vector<Descent> descent;  // parents as numbers, animal.size() if unknown
};

// F = 0.5 A[parent, mate] of animals, a list in groups of one parent.
struct Group {
  int stage, parent, begin, end;
};
struct Tasks {
  Ints animal, mate;  // mate: a number
  std::vector<Group> groups;
};

using LaneColumn = std::vector<Lanes, Eigen::aligned_allocator<Lanes>>;

// Of a number that is not 0.
int leading_zeros(std::uint64_t x) {
#if defined(__GNUC__)
  return __builtin_clzll(x);
#else
  int count = 0;
  for (; !(x >> 63); x <<= 1) ++count;
  return count;
#endif
}

// Columns of A for up to kLanes parents at a time, on the ancestors of these and their
// mates alone (Colleau 2002): v = T'e upwards, A e = T (D v) downwards, in place.
class Columns {
 public:
  explicit Columns(const Parents& parents)
      : parents_(parents),
        marked_(parents.animal.size() / 64 + 1, 0),
        v_(parents.animal.size() + 1, Lanes::Zero()) {}

  // F of the animals of groups first, ..., first + count - 1; count <= kLanes.
  void run(const Tasks& tasks, Index first, Index count, Vector& F) {
    const Group* groups = tasks.groups.data() + first;
    int last = 0;
    for (Index k = 0; k < count; ++k) {
      last = std::max(last, groups[k].parent);
      mark(groups[k].parent);
      v_[groups[k].parent][k] = 1;
      for (int a = groups[k].begin; a < groups[k].end; ++a) {
        last = std::max(last, tasks.mate[a]);
        mark(tasks.mate[a]);
      }
    }
    go_up(last);
    go_down();
    for (Index k = 0; k < count; ++k) {
      for (int a = groups[k].begin; a < groups[k].end; ++a) {
        F[tasks.animal[a]] = 0.5 * v_[tasks.mate[a]][k];
      }
    }
    for (int i : list_) v_[i].setZero();
  }

 private:
  void mark(int i) { marked_[i / 64] |= std::uint64_t{1} << (i % 64); }

  // From the youngest to the oldest; marks are taken away, list_ is what had one. Unknown
  // parents are a number that is marked and filled, but never visited.
  void go_up(int last) {
    list_.clear();
    for (int word = last / 64; word >= 0; --word) {
      int bit = word == last / 64 ? last % 64 : 63;
      while (const std::uint64_t rest = marked_[word] << (63 - bit)) {
        bit -= leading_zeros(rest);
        const int i = word * 64 + bit;
        marked_[word] ^= std::uint64_t{1} << bit;
        list_.push_back(i);
        const Descent& own = parents_.descent[i];
        const Lanes half = 0.5 * v_[i];
        mark(own.sire);
        mark(own.dam);
        v_[own.sire] += half;
        v_[own.dam] += half;
      }
    }
    v_.back().setZero();
  }
  void go_down() {
    for (auto i = list_.rbegin(); i != list_.rend(); ++i) {
      const Descent& own = parents_.descent[*i];
      v_[*i] = own.D * v_[*i] + 0.5 * (v_[own.sire] + v_[own.dam]);
    }
  }

  const Parents& parents_;
  std::vector<std::uint64_t> marked_;
  Ints list_;
  LaneColumn v_;  // zero between runs
};

Parents number_parents(const Pedigree& ped, const Ints& order) {
  Parents out;
  out.number.assign(order.size(), -1);
  for (int i : order) {
    if (ped.sire[i] >= 0) out.number[ped.sire[i]] = 0;
    if (ped.dam[i] >= 0) out.number[ped.dam[i]] = 0;
  }
  for (int i : order) {
    if (out.number[i] < 0) continue;
    out.number[i] = static_cast<int>(out.animal.size());
    out.animal.push_back(i);
  }
  const int none = static_cast<int>(out.animal.size());
  const auto number = [&](int parent) { return parent < 0 ? none : out.number[parent]; };
  out.descent.reserve(out.animal.size());
  for (int i : out.animal) {
    out.descent.push_back({number(ped.sire[i]), number(ped.dam[i]), 1});
  }
  return out;
}

// Distinct values of x that are not negative.
Index distinct(Ints x) {
  std::sort(x.begin(), x.end());
  return std::unique(x.begin(), x.end()) - std::lower_bound(x.begin(), x.end(), 0);
}

// The column of a parent needs the D of itself and its ancestors only, whatever its
// mates: every parent on the side with fewer has one column. D in turn needs the F of
// parents, so that a stage may be two generations.
Tasks make_tasks(const Pedigree& ped, const Parents& parents, const Ints& level) {
  const bool by_sire = distinct(ped.sire) <= distinct(ped.dam);
  const Ints& key = by_sire ? ped.sire : ped.dam;
  const Ints& mate = by_sire ? ped.dam : ped.sire;
  struct Task {
    int parent, mate, animal;
  };
  std::vector<Task> list;
  for (int i = 0; i < static_cast<int>(ped.size()); ++i) {
    if (key[i] < 0 || mate[i] < 0) continue;
    list.push_back({parents.number[key[i]], parents.number[mate[i]], i});
  }
  std::sort(list.begin(), list.end(), [](const Task& a, const Task& b) {
    return std::tie(a.parent, a.mate) < std::tie(b.parent, b.mate);
  });
  Tasks out;
  for (const Task& task : list) {
    const int at = static_cast<int>(out.animal.size());
    if (at == 0 || out.groups.back().parent != task.parent) {
      const int stage = level[parents.animal[task.parent]] / 2;
      out.groups.push_back({stage, task.parent, at, at});
    }
    out.groups.back().end = at + 1;
    out.animal.push_back(task.animal);
    out.mate.push_back(task.mate);
  }
  return out;
}

// Some animals and their ancestors, renumbered so that parents come first.
struct Ancestors {
  std::vector<double> D;
  Ints sire, dam;  // numbers, D.size() if unknown
  Ints place;      // the numbers of the animals

  Ancestors(const Pedigree& ped, const Ints& order, const Vector& variances,
            const Ints& animals) {
    Ints number(order.size(), -1);
    for (int i : animals) number[i] = 0;
    for (auto i = order.rbegin(); i != order.rend(); ++i) {
      if (number[*i] < 0) continue;
      if (ped.sire[*i] >= 0) number[ped.sire[*i]] = 0;
      if (ped.dam[*i] >= 0) number[ped.dam[*i]] = 0;
    }
    int count = 0;
    for (int i : order) {
      if (number[i] >= 0) number[i] = count++;
    }
    const auto parent = [&](int i) { return i < 0 ? count : number[i]; };
    for (int i : order) {
      if (number[i] < 0) continue;
      D.push_back(variances[i]);
      sire.push_back(parent(ped.sire[i]));
      dam.push_back(parent(ped.dam[i]));
    }
    for (int i : animals) place.push_back(number[i]);
  }

  // v: the columns of A of animals first, ..., first + count - 1, one a lane.
  void fill(Index first, Index count, LaneColumn& v) const {
    for (Lanes& lanes : v) lanes.setZero();
    for (Index k = 0; k < count; ++k) v[place[first + k]][k] = 1;
    for (std::size_t i = D.size(); i-- > 0;) {
      const Lanes half = 0.5 * v[i];
      v[sire[i]] += half;
      v[dam[i]] += half;
    }
    v.back().setZero();  // what went up to unknown parents
    for (std::size_t i = 0; i < D.size(); ++i) {
      v[i] = D[i] * v[i] + 0.5 * (v[sire[i]] + v[dam[i]]);
    }
  }
};

}  // namespace

std::vector<int> pedigree_order(const Pedigree& ped) {
  const Ints level = generations(ped);
  if (std::find(level.begin(), level.end(), -1) != level.end()) throw_loop(ped, level);
  Ints start(ped.sire.size() + 2, 0), order(ped.sire.size());
  for (int g : level) ++start[g + 1];
  for (std::size_t g = 1; g < start.size(); ++g) start[g] += start[g - 1];
  for (std::size_t i = 0; i < order.size(); ++i) {
    order[start[level[i]]++] = static_cast<int>(i);
  }
  return order;
}

Vector inbreeding(const Pedigree& ped, const std::vector<int>& order, int threads,
                  Monitor& monitor) {
  const Ints level = generations(ped);
  Parents parents = number_parents(ped, order);
  const Tasks tasks = make_tasks(ped, parents, level);
  std::vector<Columns> columns(static_cast<std::size_t>(std::max(1, threads)),
                               Columns(parents));
  Vector F = Vector::Zero(ped.size());
  std::size_t known = 0;  // parents whose D is
  for (std::size_t begin = 0; begin < tasks.groups.size();) {
    const int stage = tasks.groups[begin].stage;
    for (; known < parents.animal.size(); ++known) {
      const int parent = parents.animal[known];
      if (level[parent] > 2 * stage + 1) break;
      parents.descent[known].D = mendelian_variance(ped, F, parent);
    }
    monitor.tick(tasks.groups[begin].begin, ped.size());
    const std::size_t most = begin + kLanes * kChunks * columns.size();
    std::size_t end = begin;
    while (end < std::min(most, tasks.groups.size()) && tasks.groups[end].stage == stage)
      ++end;
    const Index count = static_cast<Index>(end - begin);
    const Index chunks = (count + kLanes - 1) / kLanes;
    const Index workers = std::min<Index>(chunks, static_cast<Index>(columns.size()));
    parallel_for(workers, threads, [&](Index worker) {
      for (Index chunk = worker; chunk < chunks; chunk += workers) {
        columns[worker].run(tasks, static_cast<Index>(begin) + chunk * kLanes,
                            std::min<Index>(kLanes, count - chunk * kLanes), F);
      }
    });
    begin = end;
  }
  monitor.tick(ped.size(), ped.size());
  return F;
}

Vector mendelian_variances(const Pedigree& ped, const Vector& F) {
  Vector D(ped.size());
  for (Index i = 0; i < ped.size(); ++i) D[i] = mendelian_variance(ped, F, i);
  return D;
}

void numerator_relationship(const Pedigree& ped, const std::vector<int>& order,
                            MatrixRef A) {
  for (std::size_t k = 0; k < order.size(); ++k) {
    const int i = order[k], sire = ped.sire[i], dam = ped.dam[i];
    for (std::size_t l = 0; l < k; ++l) {
      const int j = order[l];
      const double both = (sire < 0 ? 0 : A(j, sire)) + (dam < 0 ? 0 : A(j, dam));
      A(j, i) = A(i, j) = 0.5 * both;
    }
    A(i, i) = 1 + (sire < 0 || dam < 0 ? 0 : 0.5 * A(sire, dam));
  }
}

void relationship_block(const Pedigree& ped, const std::vector<int>& order,
                        const Vector& D, const std::vector<int>& rows, int threads,
                        Monitor& monitor, MatrixRef block) {
  const Ancestors known(ped, order, D, rows);
  const Index m = static_cast<Index>(rows.size()), chunks = (m + kLanes - 1) / kLanes;
  const Index workers = std::max<Index>(1, std::min<Index>(threads, chunks));
  std::vector<LaneColumn> columns(static_cast<std::size_t>(workers),
                                  LaneColumn(known.D.size() + 1));
  for (Index begin = 0; begin < chunks; begin += workers) {
    monitor.tick(std::min(m, begin * kLanes), m);
    parallel_for(std::min(workers, chunks - begin), threads, [&](Index worker) {
      const Index first = (begin + worker) * kLanes;
      const Index count = std::min<Index>(kLanes, m - first);
      LaneColumn& v = columns[worker];
      known.fill(first, count, v);
      for (Index i = 0; i < m; ++i) {
        for (Index k = 0; k < count; ++k) block(i, first + k) = v[known.place[i]][k];
      }
    });
  }
  monitor.tick(m, m);
}

void dominance_relationship(const Pedigree& ped, ConstMatrixRef A, MatrixRef D) {
  const Index n = ped.size();
  for (Index j = 0; j < n; ++j) {
    const int sire = ped.sire[j], dam = ped.dam[j];
    for (Index i = 0; i < j; ++i) {
      const int s = ped.sire[i], d = ped.dam[i];
      const bool known = sire >= 0 && dam >= 0 && s >= 0 && d >= 0;
      D(i, j) = D(j, i) =
          known ? 0.25 * (A(s, sire) * A(d, dam) + A(s, dam) * A(d, sire)) : 0;
    }
    D(j, j) = 1;
  }
}

SparseUpper inverse_relationship(const Pedigree& ped, const Vector& D) {
  const Index n = ped.size();
  // beside the diagonal each animal adds up to three elements
  struct Element {
    int row;
    double value;
  };
  std::vector<Index> start(static_cast<std::size_t>(n) + 1, 0);
  const auto each = [&](auto&& add) {
    for (Index i = 0; i < n; ++i) {
      const double alpha = 1 / D[i];
      const int self = static_cast<int>(i), sire = ped.sire[i], dam = ped.dam[i];
      add(self, self, alpha);
      if (sire >= 0) add(sire, self, -0.5 * alpha);
      if (dam >= 0) add(dam, self, -0.5 * alpha);
      if (sire >= 0) add(sire, sire, 0.25 * alpha);
      if (dam >= 0) add(dam, dam, 0.25 * alpha);
      if (sire < 0 || dam < 0) continue;
      // once for both triangles; on the diagonal they are one
      add(sire, dam, sire == dam ? 0.5 * alpha : 0.25 * alpha);
    }
  };
  each([&](int a, int b, double) {
    if (a != b) ++start[std::max(a, b) + 1];
  });
  for (Index j = 0; j < n; ++j) start[j + 1] += start[j];
  std::vector<Element> elements(static_cast<std::size_t>(start[n]));
  std::vector<Index> next(start.begin(), start.end() - 1);
  Vector diagonal = Vector::Zero(n);
  each([&](int a, int b, double value) {
    if (a == b) {
      diagonal[a] += value;
    } else {
      elements[next[std::max(a, b)]++] = {std::min(a, b), value};
    }
  });
  SparseUpper out;
  out.start.assign(1, 0);
  out.row.reserve(elements.size() + static_cast<std::size_t>(n));
  out.value.reserve(elements.size() + static_cast<std::size_t>(n));
  for (Index j = 0; j < n; ++j) {
    std::stable_sort(elements.begin() + start[j], elements.begin() + start[j + 1],
                     [](const Element& a, const Element& b) { return a.row < b.row; });
    for (Index k = start[j]; k < start[j + 1]; ++k) {
      if (k > start[j] && elements[k].row == elements[k - 1].row) {
        out.value.back() += elements[k].value;
      } else {
        out.row.push_back(elements[k].row);
        out.value.push_back(elements[k].value);
      }
    }
    out.row.push_back(static_cast<int>(j));
    out.value.push_back(diagonal[j]);
    out.start.push_back(static_cast<int>(out.row.size()));
  }
  return out;
}

void drop_values(const Pedigree& ped, const std::vector<int>& order, MatrixRef u) {
  for (int i : order) {
    if (ped.sire[i] >= 0) u.row(i) += 0.5 * u.row(ped.sire[i]);
    if (ped.dam[i] >= 0) u.row(i) += 0.5 * u.row(ped.dam[i]);
  }
}

}  // namespace kinlmm
