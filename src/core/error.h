// What the core throws: a kind that R turns into a sentence, and the numbers it needs.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace kinlmm {

class Error : public std::runtime_error {
 public:
  using Data = std::vector<std::pair<std::string, double>>;

  // kind: a short snake_case word, for example "bed_size"; data: named numbers;
  // subject: the file or the object that the error is about.
  explicit Error(std::string kind, Data data = {}, std::string subject = {})
      : std::runtime_error(kind),
        kind_(std::move(kind)),
        data_(std::move(data)),
        subject_(std::move(subject)) {}

  const std::string& kind() const { return kind_; }
  const Data& data() const { return data_; }
  const std::string& subject() const { return subject_; }

 private:
  std::string kind_;
  Data data_;
  std::string subject_;
};

}  // namespace kinlmm
