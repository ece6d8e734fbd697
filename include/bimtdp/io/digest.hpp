// SPDX-License-Identifier: Apache-2.0
// Digests: XXH3-128 as 32 hex digits, canonical (big-endian) order. They detect damage and differences, not malice.
#pragma once

#include <bimtdp/core/aligned.hpp>
#include <bimtdp/graph/value.hpp>

#ifndef XXH_INLINE_ALL
#define XXH_INLINE_ALL
#endif
#include <xxhash.h>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <string_view>

namespace bimtdp {

[[nodiscard]] inline std::string digest(std::span<const std::byte> bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, hash);
  std::string text;
  for (const unsigned char byte : canonical.digest) {
    text.push_back("0123456789abcdef"[byte >> 4]);
    text.push_back("0123456789abcdef"[byte & 15]);
  }
  return text;
}

/// Of a value's bytes; every NaN counts as the same one, for machines differ in the NaN that an operation makes.
[[nodiscard]] inline std::string digest(const ValueRef& value) {
  if (value.type != ValueType::floats) return digest(value.bytes());
  const TensorView<float> floats = value.floats();
  const auto is_nan = [](float v) { return v != v; };
  if (std::none_of(floats.span().begin(), floats.span().end(), is_nan)) return digest(value.bytes());
  AlignedVector<float> canonical(floats.span().begin(), floats.span().end());
  std::replace_if(canonical.begin(), canonical.end(), is_nan, std::numeric_limits<float>::quiet_NaN());
  return digest(std::as_bytes(std::span<const float>(canonical)));
}

[[nodiscard]] inline bool is_digest(std::string_view text) {
  return text.size() == 32 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace bimtdp
