// A test framework of one page. A test is TEST(name) { ... }; it fails when one of its
// checks fails or an exception leaves it.
#pragma once

#include <cmath>
#include <sstream>
#include <string>
#include <vector>

#include "core/error.h"

namespace check {

struct Case {
  const char* name;
  void (*run)();
};

std::vector<Case>& cases();
bool add(const char* name, void (*run)());
void fail(const char* file, int line, const std::string& what);

template <class A, class B>
void near(const char* file, int line, const char* text, const A& a, const B& b,
          double tol) {
  const double x = static_cast<double>(a), y = static_cast<double>(b);
  if (x == y || std::abs(x - y) <= tol)
    return;  // false for NaN; true for equal infinities
  std::ostringstream out;
  out.precision(17);
  out << text << ": " << x << " and " << y << " differ by " << std::abs(x - y) << " > "
      << tol;
  fail(file, line, out.str());
}

template <class F>
void throws_kind(const char* file, int line, const char* text, F&& f,
                 const std::string& kind) {
  std::string thrown = "nothing";
  try {
    f();
  } catch (const kinlmm::Error& e) {
    if (e.kind() == kind) return;
    thrown = e.kind();
  } catch (const std::exception& e) {
    thrown = e.what();
  }
  fail(file, line, std::string(text) + ": threw " + thrown + ", not " + kind);
}

}  // namespace check

#define CHECK_JOIN_(a, b) a##b
#define CHECK_JOIN(a, b) CHECK_JOIN_(a, b)
#define TEST(name)                                    \
  static void CHECK_JOIN(test_, __LINE__)();          \
  static const bool CHECK_JOIN(added_, __LINE__) =    \
      check::add(#name, CHECK_JOIN(test_, __LINE__)); \
  static void CHECK_JOIN(test_, __LINE__)()

#define CHECK(...) \
  ((__VA_ARGS__) ? void() : check::fail(__FILE__, __LINE__, #__VA_ARGS__))
// |a - b| <= tol, absolutely.
#define CHECK_NEAR(a, b, tol) check::near(__FILE__, __LINE__, #a " ~ " #b, a, b, tol)
#define CHECK_THROWS_KIND(expr, kind) \
  check::throws_kind(                 \
      __FILE__, __LINE__, #expr, [&] { static_cast<void>(expr); }, kind)
