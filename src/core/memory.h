// The only place that asks the system for a kind of memory.
#pragma once

#include <cstddef>

#ifdef __linux__
#include <sys/mman.h>

#include <cstdint>
#endif

namespace kinlmm {

// Asks that memory that was allocated, but not yet touched, come in large pages where the
// system has them: touching it is then several times faster. A wish, without an answer.
inline void prefer_large_pages(void* memory, std::size_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  constexpr std::uintptr_t kPage = std::uintptr_t(1) << 21;
  const auto start = reinterpret_cast<std::uintptr_t>(memory);
  const std::uintptr_t first = (start + kPage - 1) / kPage * kPage;
  const std::uintptr_t last = (start + bytes) / kPage * kPage;
  if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
#else
  (void)memory;
  (void)bytes;
#endif
}

}  // namespace kinlmm
