// SPDX-License-Identifier: Apache-2.0
// Compiler regions: which instructions a stretch of code may use and how it rounds. The only file with compiler pragmas.
//
// A region stands between BIMTDP_TARGET_BEGIN(tier) and BIMTDP_TARGET_END; everything defined in it is compiled for the
// tier's features (tier_list.hpp), whatever flags the user gave. Inside a region: no friend functions (GCC 12 compiles them for the
// baseline) and no default member initialisers of vectors (both compilers do), no #include but bodies, no feature macros
// (they keep the user's value), no vector constants at namespace scope.
// Regions round exactly: a product and a sum are fused only where the code says fma. BIMTDP_EXACT_* gives that alone.
// (Clang's -ffp-contract=fast overrules its own pragma, and no macro tells; -ffast-math is noted below.)
#pragma once

#include <bimtdp/simd/tier_list.hpp>

#define BIMTDP_PRAGMA(text) _Pragma(#text)
#define BIMTDP_FEATURE(name) name
#define BIMTDP_TARGET_BEGIN(tier) BIMTDP_FEATURES_BEGIN(BIMTDP_FEATURES_##tier(BIMTDP_FEATURE, ","))

#if defined(__clang__)
#if defined(__x86_64__) || defined(__i386__)
#define BIMTDP_EXACT_BEGIN BIMTDP_PRAGMA(float_control(push)) BIMTDP_PRAGMA(clang fp contract(off))
#define BIMTDP_EXACT_END BIMTDP_PRAGMA(float_control(pop))
#else  // where clang cannot push, what the command line says comes back: so regions do not nest
#define BIMTDP_EXACT_BEGIN BIMTDP_PRAGMA(clang fp contract(off))
#define BIMTDP_EXACT_END BIMTDP_PRAGMA(STDC FP_CONTRACT DEFAULT)
#endif
#define BIMTDP_FEATURES_BEGIN(features) \
  BIMTDP_EXACT_BEGIN BIMTDP_PRAGMA(clang attribute push(__attribute__((target(features))), apply_to = function))
#define BIMTDP_TARGET_END BIMTDP_PRAGMA(clang attribute pop) BIMTDP_EXACT_END
#define BIMTDP_UNROLL BIMTDP_PRAGMA(clang loop unroll(full))
#else
// The two diagnostics are false alarms of the AVX-512 headers of GCC 12.
// clang-format off
#define BIMTDP_EXACT_BEGIN                                                                   \
  BIMTDP_PRAGMA(GCC push_options) BIMTDP_PRAGMA(GCC optimize("fp-contract=off"))             \
  BIMTDP_PRAGMA(GCC diagnostic push) BIMTDP_PRAGMA(GCC diagnostic ignored "-Wuninitialized") \
  BIMTDP_PRAGMA(GCC diagnostic ignored "-Wmaybe-uninitialized")
// clang-format on
#define BIMTDP_EXACT_END BIMTDP_PRAGMA(GCC diagnostic pop) BIMTDP_PRAGMA(GCC pop_options)
#define BIMTDP_FEATURES_BEGIN(features) BIMTDP_EXACT_BEGIN BIMTDP_PRAGMA(GCC target(features))
#define BIMTDP_TARGET_END BIMTDP_EXACT_END
#define BIMTDP_UNROLL BIMTDP_PRAGMA(GCC unroll 32)
#endif

// Inline namespace of everything that depends on the user's flags, so that two translation units compiled with
// different flags never share a symbol that means different code. Public types stay outside it.
#if defined(__AVX512VPOPCNTDQ__)
#define BIMTDP_ABI flags_avx512_popcount
#elif defined(__AVX512F__)
#define BIMTDP_ABI flags_avx512
#elif defined(__AVX2__) && defined(__FMA__)
#define BIMTDP_ABI flags_avx2_fma
#elif defined(__AVX2__)
#define BIMTDP_ABI flags_avx2
#elif defined(__AVX__) && defined(__FMA__)
#define BIMTDP_ABI flags_avx_fma
#elif defined(__AVX__)
#define BIMTDP_ABI flags_avx
#elif defined(__SSE4_2__)
#define BIMTDP_ABI flags_sse42
#elif defined(__SSSE3__)
#define BIMTDP_ABI flags_ssse3
#elif defined(__ARM_FEATURE_SVE)
#define BIMTDP_ABI flags_sve
#else
#define BIMTDP_ABI flags_base
#endif

#if defined(__FLT_EVAL_METHOD__) && (__FLT_EVAL_METHOD__ == 1 || __FLT_EVAL_METHOD__ == 2)
#error "bimtdp needs floats that are rounded to their type: on 32-bit x86 compile with -msse2 -mfpmath=sse"
#endif

#if defined(__FAST_MATH__)
#if defined(__clang__)
#pragma message("bimtdp: -ffast-math breaks the promise that all tiers give the same bits")
#else
#pragma message "bimtdp: -ffast-math breaks the promise that all tiers give the same bits"
#endif
#endif
