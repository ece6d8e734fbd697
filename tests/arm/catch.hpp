// SPDX-License-Identifier: Apache-2.0
// The part of Catch2 that the kernel tests use, for machines for which it is not installed: a cross-compiler's. Messages are
// formatted only where a check fails, which an emulator is grateful for. Brings its own main().
#pragma once

#include <cmath>
#include <cstdio>
#include <exception>
#include <sstream>
#include <string>
#include <vector>

namespace plain {

struct Case {
  const char* name;
  void (*run)();
};
inline std::vector<Case>& cases() {
  static std::vector<Case> list;
  return list;
}
inline int& failures() {
  static int count = 0;
  return count;
}
inline int add(const char* name, void (*run)()) {
  cases().push_back({name, run});
  return 0;
}

/// INFO: a message of the scope.
struct Message {
  Message() { stack().push_back(this); }
  virtual ~Message() { stack().pop_back(); }
  Message(const Message&) = delete;
  [[nodiscard]] virtual std::string text() const = 0;
  static std::vector<const Message*>& stack() {
    static std::vector<const Message*> list;
    return list;
  }
};
template <class Text>
struct MessageOf final : Message {
  Text make;
  explicit MessageOf(Text text) : make(text) {}
  [[nodiscard]] std::string text() const override { return make(); }
};

/// What REQUIRE throws.
struct Stop {};

inline bool check(bool holds, const char* what, const char* file, int line) {
  if (holds) return true;
  ++failures();
  std::printf("%s:%d: %s\n", file, line, what);
  for (const Message* message : Message::stack()) std::printf("  %s\n", message->text().c_str());
  return false;
}
template <class Error, class Action>
bool throws(Action action) {
  try {
    action();
  } catch (const Error&) {
    return true;
  } catch (...) {
  }
  return false;
}

}  // namespace plain

struct Approx {
  double value, relative = 1e-5;
  explicit Approx(double x) : value(x) {}
  Approx epsilon(double e) {
    relative = e;
    return *this;
  }
  friend bool operator==(double x, const Approx& a) { return std::abs(x - a.value) <= a.relative * std::abs(a.value); }
};

#define PLAIN_JOIN_(a, b) a##b
#define PLAIN_JOIN(a, b) PLAIN_JOIN_(a, b)
#define PLAIN_CASE(function, name)                                                             \
  static void function();                                                                      \
  [[maybe_unused]] static const int PLAIN_JOIN(function, _added) = plain::add(name, function); \
  static void function()
#define TEST_CASE(name, ...) PLAIN_CASE(PLAIN_JOIN(case_, __LINE__), name)
#define INFO(...)                                             \
  const plain::MessageOf PLAIN_JOIN(message_, __LINE__)([&] { \
    std::ostringstream text;                                  \
    text << __VA_ARGS__;                                      \
    return text.str();                                        \
  })
#define CHECK(...) plain::check(static_cast<bool>(__VA_ARGS__), #__VA_ARGS__, __FILE__, __LINE__)
#define CHECK_FALSE(...) CHECK(!(__VA_ARGS__))
#define REQUIRE(...)                              \
  do {                                            \
    if (!CHECK(__VA_ARGS__)) throw plain::Stop(); \
  } while (false)
#define CHECK_THROWS_AS(expression, type) \
  plain::check(plain::throws<type>([&] { static_cast<void>(expression); }), #expression, __FILE__, __LINE__)
#define CHECK_NOTHROW(expression) \
  plain::check(!plain::throws<std::exception>([&] { static_cast<void>(expression); }), #expression, __FILE__, __LINE__)

int main() {
  for (const plain::Case& test : plain::cases()) try {
      test.run();
    } catch (const plain::Stop&) {
    } catch (const std::exception& error) {
      plain::check(false, error.what(), test.name, 0);
    }
  std::printf("%zu cases, %d failed checks\n", plain::cases().size(), plain::failures());
  return plain::failures() != 0;
}
