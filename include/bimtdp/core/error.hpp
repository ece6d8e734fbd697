// SPDX-License-Identifier: Apache-2.0
// Error: the only way the library complains.
#pragma once

#include <bimtdp/core/text.hpp>
#include <bimtdp/core/text_stream.hpp>

#include <stdexcept>
#include <string_view>

#if !defined(__cpp_exceptions) && !defined(_CPPUNWIND)
#error "bimtdp reports errors by exceptions: compile without -fno-exceptions"
#endif
#if defined(__CUDACC__)
#error "bimtdp is compiled by host compilers: include it in a .cpp file, not in one for nvcc"
#endif

namespace bimtdp {

/// Thrown for every invalid input: a bad file, shape, graph or argument.
/// `what()` reads "where: what (got X, expected Y)" and is printable whatever X was: bytes that are not stand in it as \xNN.
class Error : public std::runtime_error {
 public:
  explicit Error(std::string_view message) : std::runtime_error(printable(message)) {}
};

/// Throws Error("where: parts...").
template <class... Parts>
[[noreturn]] void fail(std::string_view where, const Parts&... parts) {
  throw Error(text_of(where, ": ", parts...));
}

/// Throws Error("where: parts...") unless `condition` holds. The parts are only formatted on failure.
template <class... Parts>
void demand(bool condition, std::string_view where, const Parts&... parts) {
  if (!condition) [[unlikely]]
    fail(where, parts...);
}

/// Throws Error("where: what (got X, expected Y)") unless the two are equal.
template <class Got, class Expected>
void check_equal(const Got& got, const Expected& expected, std::string_view where, std::string_view what) {
  if (!(got == expected)) [[unlikely]]
    fail(where, what, " (got ", got, ", expected ", expected, ")");
}

}  // namespace bimtdp
