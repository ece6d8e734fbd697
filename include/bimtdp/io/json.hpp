// SPDX-License-Identifier: Apache-2.0
// A strict JSON parser on nlohmann/json's event interface: no duplicate keys, bounded depth and number of values,
// no NUL, nothing after the end. Numbers keep their kind, so that 1.0, -1 and 1e3 never pass for the integer 1.
#pragma once

#include <bimtdp/core/inline.hpp>
#include <bimtdp/io/json_value.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace bimtdp {

struct JsonLimits {
  std::size_t depth = 8;                      ///< nested objects and arrays
  std::size_t values = std::size_t{1} << 20;  ///< objects, arrays, strings, numbers, ... in all
};

/// A value as it stands in the file, shortened, for a message; of an object or array what it is.
[[nodiscard]] inline std::string shown(const JsonValue& value) {
  if (value.is_array()) return "an array of " + std::to_string(value.array().size());
  if (value.is_object()) return "an object of " + std::to_string(value.object().size());
  return value.to_text().substr(0, 60);
}

/// Parses `text`. Throws Error, which begins with `where`, on anything but one complete JSON value within the limits.
[[nodiscard]] BIMTDP_INLINE JsonValue parse_json(std::string_view text, std::string_view where, const JsonLimits& limits = {});

}  // namespace bimtdp

#if !defined(BIMTDP_COMPILED)
#include <bimtdp/io/json.inl>
#endif
