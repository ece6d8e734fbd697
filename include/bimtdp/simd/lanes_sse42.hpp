// SPDX-License-Identifier: Apache-2.0
// SSE4.2 with POPCNT: bits are counted in the integer registers; floats are the baseline's.
//
// What makes it what it is:
//   popcnt  64 bits in one instruction; one a cycle (port 1) on Intel's cores, 3 cycles each (uops.info), which bounds the loop
//           there: loads, xors and adds have other ports.
// One output channel a block, so that neighbouring words of a weight row are neighbours in memory. Tiles of two pixels and four
// channels (binary_popcnt.inl): eight counts, two pixels and a weight in sixteen registers; the addresses take the others.
#pragma once

#include <bimtdp/simd/lane_set.hpp>
#include <bimtdp/simd/lanes_baseline.hpp>
#include <bimtdp/simd/target.hpp>

#if defined(__x86_64__)
#include <nmmintrin.h>

BIMTDP_TARGET_BEGIN(sse42)
namespace bimtdp::simd::inline BIMTDP_ABI::sse42 {

using baseline::Floats;

struct Words {
  static constexpr std::size_t width = 1;
};
struct TileShape {
  static constexpr std::size_t pair_words = never;
  static constexpr bool splits = false;
};

[[nodiscard]] inline std::uint64_t load_pair(const std::uint32_t* p) noexcept {
  std::uint64_t pair;
  std::memcpy(&pair, p, sizeof pair);
  return pair;
}
[[nodiscard]] inline std::uint64_t popcount(std::uint64_t x) noexcept { return static_cast<std::uint64_t>(_mm_popcnt_u64(x)); }

}  // namespace bimtdp::simd::inline BIMTDP_ABI::sse42
BIMTDP_TARGET_END
#endif
