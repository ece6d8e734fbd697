// SPDX-License-Identifier: Apache-2.0
// What flows between nodes: float maps, bit maps and integer maps.
#pragma once

#include <cstddef>
#include <string_view>

namespace bimtdp {

enum class ValueType { floats, bits, integers };

[[nodiscard]] constexpr std::string_view to_string(ValueType type) {
  return type == ValueType::floats ? "float" : type == ValueType::bits ? "bits" : "integer";
}

/// What is known of a node's value before the input size is.
struct ValueInfo {
  ValueType type = ValueType::floats;
  std::size_t channels = 0;
};

}  // namespace bimtdp
