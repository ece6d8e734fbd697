// SPDX-License-Identifier: Apache-2.0
// Error messages in tests: error_of(action) is the message of the Error that the action throws, or "".
#pragma once

#include <bimtdp/core/error.hpp>

#include <initializer_list>
#include <string>
#include <string_view>

namespace test {

template <class Action>
std::string error_of(Action&& action) {
  try {
    action();
  } catch (const bimtdp::Error& error) {
    return error.what();
  }
  return "";
}

/// Whether `text` holds all parts.
inline bool holds(std::string_view text, std::initializer_list<std::string_view> parts) {
  for (const std::string_view part : parts)
    if (text.find(part) == std::string_view::npos) return false;
  return true;
}

}  // namespace test
