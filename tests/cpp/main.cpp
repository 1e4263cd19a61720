// Runs all tests, or those whose name contains the first argument.
#include <cstring>
#include <exception>
#include <iostream>

#include "check.h"

namespace check {

namespace {
int failures = 0;  // of the running test
}

std::vector<Case>& cases() {
  static std::vector<Case> all;
  return all;
}

bool add(const char* name, void (*run)()) {
  cases().push_back({name, run});
  return true;
}

void fail(const char* file, int line, const std::string& what) {
  ++failures;
  std::cout << "  " << file << ":" << line << ": " << what << "\n";
}

}  // namespace check

int main(int argc, char** argv) {
  int passed = 0, failed = 0;
  for (const check::Case& test : check::cases()) {
    if (argc > 1 && !std::strstr(test.name, argv[1])) continue;
    check::failures = 0;
    try {
      test.run();
    } catch (const std::exception& e) {
      check::fail(test.name, 0, std::string("uncaught exception: ") + e.what());
    }
    if (check::failures > 0) {
      ++failed;
      std::cout << "FAILED " << test.name << std::endl;
    } else {
      ++passed;
    }
  }
  std::cout << passed << " passed, " << failed << " failed" << std::endl;
  return failed > 0 || passed == 0;
}
