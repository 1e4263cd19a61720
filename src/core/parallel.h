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
// own memory, so that the result does not depend on the number of threads. What f throws
// is thrown again once all threads have ended. f must not call BLAS or LAPACK, which may
// be threaded themselves. A thread costs some 20 microseconds: a call should be worth a
// millisecond.
template <class F>
void parallel_for(Index count, int threads, F&& f) {
  const Index parts = std::max<Index>(1, std::min<Index>(threads, count));
  const auto start = [&](Index part) {
    return count / parts * part + std::min(part, count % parts);
  };
  std::vector<std::exception_ptr> failed(static_cast<std::size_t>(parts));
  const auto run = [&](Index part) {
    try {
      for (Index i = start(part); i < start(part + 1); ++i) f(i);
    } catch (...) {
      failed[static_cast<std::size_t>(part)] = std::current_exception();
    }
  };
  std::vector<std::thread> workers;
  Index begun = 1;
  try {
    workers.reserve(static_cast<std::size_t>(parts - 1));
    for (; begun < parts; ++begun) workers.emplace_back(run, begun);
  } catch (const std::exception&) {
    // no more threads to be had: this one does the rest
  }
  run(0);
  for (; begun < parts; ++begun) run(begun);
  for (std::thread& worker : workers) worker.join();
  for (const std::exception_ptr& one : failed) {
    if (one) std::rethrow_exception(one);
  }
}

}  // namespace kinlmm
