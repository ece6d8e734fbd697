// SPDX-License-Identifier: Apache-2.0
// Compiles a file once for every tier of this architecture, each time inside the tier's region. Included at the top level:
//   #define BIMTDP_TIER_BODY <bimtdp/kernels/body/tier.inl>
//   #include <bimtdp/simd/regions.inl>
// The file sees BIMTDP_TIER, the tier's name, of which simd::BIMTDP_TIER is the lane set, and BIMTDP_LANES, what that holds:
//   BIMTDP_ALL_LANES    the vocabulary of lane_set.hpp
//   BIMTDP_WORD_LANES   binary words and their counts alone; all else is the baseline's, which comes first
//   BIMTDP_NO_LANES     a popcount in the integer registers; all else is the baseline's
// What it needs is included before: a region includes nothing but such files.
#include <bimtdp/simd/lanes_avx2.hpp>
#include <bimtdp/simd/lanes_avx512.hpp>
#include <bimtdp/simd/lanes_baseline.hpp>
#include <bimtdp/simd/lanes_neon.hpp>
#include <bimtdp/simd/lanes_sse42.hpp>
#include <bimtdp/simd/target.hpp>

#define BIMTDP_ALL_LANES 2
#define BIMTDP_WORD_LANES 1
#define BIMTDP_NO_LANES 0

#define BIMTDP_TIER baseline
#define BIMTDP_LANES BIMTDP_ALL_LANES
BIMTDP_EXACT_BEGIN
#include BIMTDP_TIER_BODY
BIMTDP_EXACT_END
#undef BIMTDP_LANES
#undef BIMTDP_TIER

#if defined(__aarch64__)
#define BIMTDP_TIER neon
#define BIMTDP_LANES BIMTDP_WORD_LANES
BIMTDP_EXACT_BEGIN
#include BIMTDP_TIER_BODY
BIMTDP_EXACT_END
#undef BIMTDP_LANES
#undef BIMTDP_TIER
#endif

#if defined(__x86_64__)
#define BIMTDP_TIER sse42
#define BIMTDP_LANES BIMTDP_NO_LANES
BIMTDP_TARGET_BEGIN(sse42)
#include BIMTDP_TIER_BODY
BIMTDP_TARGET_END
#undef BIMTDP_LANES
#undef BIMTDP_TIER

#define BIMTDP_TIER avx2
#define BIMTDP_LANES BIMTDP_ALL_LANES
BIMTDP_TARGET_BEGIN(avx2)
#include BIMTDP_TIER_BODY
BIMTDP_TARGET_END
#undef BIMTDP_LANES
#undef BIMTDP_TIER

#define BIMTDP_TIER avx512
#define BIMTDP_LANES BIMTDP_ALL_LANES
BIMTDP_TARGET_BEGIN(avx512)
#include BIMTDP_TIER_BODY
BIMTDP_TARGET_END
#undef BIMTDP_LANES
#undef BIMTDP_TIER
#endif

#undef BIMTDP_TIER_BODY
