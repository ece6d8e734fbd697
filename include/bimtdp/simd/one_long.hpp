// SPDX-License-Identifier: Apache-2.0
// OneLong: a 64-bit word that lies in memory as two 32-bit halves, the lower first; a single lane of the lane sets' Longs.
#pragma once

#include <bimtdp/simd/target.hpp>

#include <cstddef>
#include <cstdint>

namespace bimtdp::simd::inline BIMTDP_ABI {

struct OneLong {
  std::uint64_t r;
  static constexpr std::size_t width = 1;
  [[nodiscard]] static OneLong set(std::uint64_t x) noexcept { return {x}; }
  [[nodiscard]] static OneLong load(const std::uint32_t* p, std::size_t = 2) noexcept { return {p[0] | std::uint64_t{p[1]} << 32}; }
  [[nodiscard]] static OneLong load_halves(const std::uint32_t* p, std::size_t) noexcept { return {*p}; }
  void store(std::uint32_t* p) const noexcept {
    p[0] = static_cast<std::uint32_t>(r);
    p[1] = static_cast<std::uint32_t>(r >> 32);
  }
};
[[nodiscard]] inline OneLong operator^(OneLong a, OneLong b) noexcept { return {a.r ^ b.r}; }
[[nodiscard]] inline OneLong operator&(OneLong a, OneLong b) noexcept { return {a.r & b.r}; }
[[nodiscard]] inline OneLong operator<<(OneLong a, std::size_t n) noexcept { return {a.r << n}; }
[[nodiscard]] inline OneLong operator>>(OneLong a, std::size_t n) noexcept { return {a.r >> n}; }

}  // namespace bimtdp::simd::inline BIMTDP_ABI
