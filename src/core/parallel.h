// The only place that knows threads. They are plain ones: OpenMP's keep spinning after a
// loop, and take the cores from a threaded BLAS that is called next.
#pragma once

#include <algorithm>
#include <exception>
#include <thread>
#include <vector>

#include "core/types.h"

namespace kinlmm {

// Calls f(i) for i in [0, count), on at most `threads` threads. Each i must write to its
// own memory, so that the result does not depend on the number of threads. f must not
// throw, and must not call BLAS or LAPACK, which may be threaded themselves. A thread
// costs some 20 microseconds: a call should be worth a millisecond.
template <class F>
void parallel_for(Index count, int threads, F&& f) {
  const Index parts = std::max<Index>(1, std::min<Index>(threads, count));
  const auto run = [&f](Index first, Index last) {
    for (Index i = first; i < last; ++i) f(i);
  };
  const auto start = [&](Index part) {
    return count / parts * part + std::min(part, count % parts);
  };
  std::vector<std::thread> workers;
  Index begun = 1;
  try {
    workers.reserve(static_cast<std::size_t>(parts - 1));
    for (; begun < parts; ++begun)
      workers.emplace_back(run, start(begun), start(begun + 1));
  } catch (const std::exception&) {
    // no more threads to be had: this one does the rest
  }
  run(0, start(1));
  run(start(begun), count);
  for (std::thread& worker : workers) worker.join();
}

}  // namespace kinlmm
