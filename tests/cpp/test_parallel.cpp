#include <vector>

#include "check.h"
#include "core/error.h"
#include "core/parallel.h"

using namespace kinlmm;

TEST(parallel_for_visits_every_index_once) {
  for (int threads : {1, 2, 3, 8}) {
    std::vector<int> visits(1001, 0);
    parallel_for(1001, threads, [&](Index i) { ++visits[static_cast<std::size_t>(i)]; });
    for (int count : visits) CHECK(count == 1);
  }
}

TEST(parallel_for_with_nothing_to_do) {
  int calls = 0;
  parallel_for(0, 4, [&](Index) { ++calls; });
  CHECK(calls == 0);
}

TEST(parallel_for_with_more_threads_than_work) {
  Vector out = Vector::Zero(3);
  parallel_for(3, 16, [&](Index i) { out[i] = static_cast<double>(i * i); });
  CHECK(out == Vector(Eigen::Vector3d(0, 1, 4)));
}

TEST(parallel_for_does_not_depend_on_threads) {
  Vector one(5000), four(5000);
  const auto fill = [](Vector& out) {
    return [&out](Index i) { out[i] = std::sin(static_cast<double>(i)) / 3; };
  };
  parallel_for(5000, 1, fill(one));
  parallel_for(5000, 4, fill(four));
  CHECK(one == four);
}

TEST(parallel_for_throws_again_what_a_thread_has_thrown) {
  for (int threads : {1, 2, 4}) {
    std::vector<int> visits(8, 0);
    const auto run = [&] {
      parallel_for(8, threads, [&](Index i) {
        if (i == 5) throw Error("of_a_thread");
        ++visits[static_cast<std::size_t>(i)];
      });
    };
    CHECK_THROWS_KIND(run(), "of_a_thread");
    CHECK(visits[0] == 1 && visits[4] == 1);
  }
}
