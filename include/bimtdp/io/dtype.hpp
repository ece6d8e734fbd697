// SPDX-License-Identifier: Apache-2.0
// The element types of the safetensors format, and the exact widening of half floats.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace bimtdp {

/// One element type: its name in the file and its size in bits (four types are narrower than a byte).
struct Dtype {
  std::string_view name;
  std::size_t bits = 0;
  friend constexpr bool operator==(const Dtype&, const Dtype&) = default;
};

inline constexpr std::array<Dtype, 22> all_dtypes{{
    {"BOOL", 8},    {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6},     {"U8", 8},          {"I8", 8},
    {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16},
    {"U16", 16},    {"F16", 16},    {"BF16", 16},   {"I32", 32},        {"U32", 32},        {"F32", 32},
    {"F64", 64},    {"I64", 64},    {"U64", 64},    {"C64", 64},
}};

/// The type called `name`, or null.
[[nodiscard]] constexpr const Dtype* find_dtype(std::string_view name) {
  for (const Dtype& dtype : all_dtypes)
    if (dtype.name == name) return &dtype;
  return nullptr;
}

/// The float32 with the value of the IEEE half float `half`; exact for every pattern (NaNs keep their payload bits).
[[nodiscard]] constexpr float widen_half(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000u) << 16;
  const std::uint32_t exponent = (half >> 10) & 0x1Fu;
  const std::uint32_t mantissa = half & 0x3FFu;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7F800000u | (mantissa << 13));
  if (exponent != 0) return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
  const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;  // subnormal or zero: mantissa * 2^-24 is a normal float32
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(magnitude));
}

}  // namespace bimtdp
