// What the processor at hand can do.
#pragma once

#include <string>
#include <vector>

// Elsewhere there is only the portable code. On Windows compilers may put vectors of 32
// and 64 bytes on a stack that is aligned to 16.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(_WIN32)
#define KINLMM_X86 1
#endif

namespace kinlmm {

// Instructions that products of whole numbers are computed with. All give the same
// result, bit for bit.
enum class Instructions { automatic, portable, avx2, vnni };

// Those of this processor, the best ones last.
std::vector<Instructions> available_instructions();

// "automatic", "portable", "avx2", "vnni" (AVX-512 with VNNI).
std::string name_of(Instructions instructions);

// Throws Error cpu_instructions if there is no such name, or this processor lacks them.
Instructions as_instructions(const std::string& name);

}  // namespace kinlmm
