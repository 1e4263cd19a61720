// Bytes in memory for tests.
#pragma once

#include <algorithm>
#include <string>

#include "core/bytes.h"

// Gives at most `step` bytes at a time, as a pipe may.
class StringSource : public kinlmm::ByteSource {
 public:
  explicit StringSource(std::string text, std::size_t step = 3)
      : text_(std::move(text)), step_(step) {}
  std::size_t read(char* to, std::size_t count) override {
    const std::size_t got = std::min({count, step_, text_.size() - at_});
    std::copy_n(text_.data() + at_, got, to);
    at_ += got;
    return got;
  }

 private:
  std::string text_;
  std::size_t step_, at_ = 0;
};

class StringSink : public kinlmm::ByteSink {
 public:
  void write(const char* from, std::size_t count) override { text.append(from, count); }
  std::string text;
};
