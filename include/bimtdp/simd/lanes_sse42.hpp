// SPDX-License-Identifier: Apache-2.0
// SSE4.2 with POPCNT: floats as in the baseline; bits are counted 64 at a time in the integer registers, one output channel
// a block, so that neighbouring words of a weight row are neighbours in memory.
#pragma once

#include <bimtdp/simd/lanes_baseline.hpp>
#include <bimtdp/simd/target.hpp>

#if defined(__x86_64__)
#include <nmmintrin.h>

BIMTDP_TARGET_BEGIN(BIMTDP_FEATURES_SSE42)
namespace bimtdp::simd::inline BIMTDP_ABI::sse42 {

[[nodiscard]] inline std::uint64_t load_pair(const std::uint32_t* p) noexcept {
  std::uint64_t pair;
  std::memcpy(&pair, p, sizeof pair);
  return pair;
}
[[nodiscard]] inline std::uint64_t popcount(std::uint64_t x) noexcept { return static_cast<std::uint64_t>(_mm_popcnt_u64(x)); }

}  // namespace bimtdp::simd::inline BIMTDP_ABI::sse42
BIMTDP_TARGET_END
#endif
