// The only place that knows OpenMP.
#pragma once

#include "core/types.h"

#ifdef _OPENMP
#include <omp.h>
#endif

namespace kinlmm {

// Calls f(i) for i in [0, count), on at most `threads` threads. Each i must write to its
// own memory, so that the result does not depend on the number of threads. f must not
// throw, and must not call BLAS or LAPACK, which may be threaded themselves.
template <class F>
void parallel_for(Index count, int threads, F&& f) {
#ifdef _OPENMP
  if (threads > 1 && count > 1) {
#pragma omp parallel for schedule(static) num_threads(threads)
    for (Index i = 0; i < count; ++i) f(i);
    return;
  }
#endif
  static_cast<void>(threads);
  for (Index i = 0; i < count; ++i) f(i);
}

}  // namespace kinlmm
