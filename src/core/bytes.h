// Bytes that come from, or go to, wherever the caller keeps them: a file, a pipe through
// a decompressor, memory.
#pragma once

#include <cstddef>

namespace kinlmm {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Fills `to` with up to `count` bytes and returns how many; 0 only at the end.
  virtual std::size_t read(char* to, std::size_t count) = 0;
};

class ByteSink {
 public:
  virtual ~ByteSink() = default;
  virtual void write(const char* from, std::size_t count) = 0;
};

}  // namespace kinlmm
