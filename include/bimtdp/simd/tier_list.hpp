// SPDX-License-Identifier: Apache-2.0
// The list of tiers: their names and what their CPUs have. Detection (tier.hpp), compiler regions (target.hpp), the kernels' tables
// (kernels/tiers.hpp), tests and benchmarks draw from it. A new tier is a name and its features here, a lane set
// lanes_<name>.hpp, and its region in regions.inl.
#pragma once

// Names, best first (tests/CMakeLists.txt reads these lines, too). The baseline, what the compiler's flags allow, comes last.
#define BIMTDP_X86_TIERS(tier) tier(avx512) tier(avx2) tier(sse42)
#define BIMTDP_ARM_TIERS(tier) tier(neon)

// The tiers of this architecture.
#if defined(__x86_64__)
#define BIMTDP_TIERS(tier) BIMTDP_X86_TIERS(tier) tier(baseline)
#elif defined(__aarch64__)
#define BIMTDP_TIERS(tier) BIMTDP_ARM_TIERS(tier) tier(baseline)
#else
#define BIMTDP_TIERS(tier) tier(baseline)
#endif

// What a tier adds to its architecture: has("feature") also has("feature") ..., once as a condition, once as the compiler's text.
// Features, not arch=...: helpers from outside a region can then be inlined into it under any -march.
#define BIMTDP_FEATURES_baseline(has, also) true
#define BIMTDP_FEATURES_neon(has, also) true
#define BIMTDP_FEATURES_sse42(has, also) has("sse4.2") also has("popcnt")
#define BIMTDP_FEATURES_avx2(has, also) has("avx2") also has("bmi") also has("bmi2") also has("fma") also has("popcnt")
#define BIMTDP_FEATURES_avx512(has, also)                                                                        \
  has("avx512f") also has("avx512bw") also has("avx512dq") also has("avx512vl") also has("avx512vpopcntdq") also \
  BIMTDP_FEATURES_avx2(has, also)
