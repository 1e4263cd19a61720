#include "core/cpu.h"

#include <algorithm>

#include "core/error.h"

namespace kinlmm {

std::vector<Instructions> available_instructions() {
  std::vector<Instructions> out = {Instructions::portable};
#ifdef KINLMM_X86
  if (__builtin_cpu_supports("avx2")) out.push_back(Instructions::avx2);
  if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vnni")) {
    out.push_back(Instructions::vnni);
  }
#endif
  return out;
}

std::string name_of(Instructions instructions) {
  switch (instructions) {
    case Instructions::portable:
      return "portable";
    case Instructions::avx2:
      return "avx2";
    case Instructions::vnni:
      return "vnni";
    default:
      return "automatic";
  }
}

Instructions as_instructions(const std::string& name) {
  const auto have = available_instructions();
  if (name == name_of(Instructions::automatic)) return have.back();
  const auto found = std::find_if(have.begin(), have.end(),
                                  [&](Instructions one) { return name_of(one) == name; });
  if (found == have.end()) throw Error("cpu_instructions", {}, name);
  return *found;
}

}  // namespace kinlmm
