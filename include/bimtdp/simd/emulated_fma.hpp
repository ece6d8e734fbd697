// SPDX-License-Identifier: Apache-2.0
// Fused multiply-add where the C library or the CPU has none that rounds once, exact to the bit, subnormal results and infinities
// included.
//   The product of two floats is exact in double. s + e = product + c exactly (TwoSum); s is then rounded to odd: towards
//   zero, last bit set where e is not 0. Rounding that to float is rounding the exact value once (Boldo and Melquiond,
//   "Emulation of FMA and correctly rounded sums: proved algorithms using rounding to odd", 2008).
#pragma once

#include <bimtdp/simd/target.hpp>

#include <cmath>

#if defined(__SSE2__)
#include <emmintrin.h>

BIMTDP_EXACT_BEGIN
namespace bimtdp::simd::inline BIMTDP_ABI {

/// a*b + c in double, rounded to odd; a, b, c hold floats.
[[nodiscard]] inline __m128d fma_to_odd(__m128d a, __m128d b, __m128d c) noexcept {
  const __m128d product = _mm_mul_pd(a, b);
  const __m128d sum = _mm_add_pd(product, c);
  const __m128d part = _mm_sub_pd(sum, product);
  const __m128d error = _mm_add_pd(_mm_sub_pd(product, _mm_sub_pd(sum, part)), _mm_sub_pd(c, part));
  // Ordered comparison: where the sum is infinite or NaN, the error is NaN and the sum stays as it is.
  const __m128d magnitude = _mm_andnot_pd(_mm_set1_pd(-0.0), error);
  const __m128i inexact = _mm_srli_epi64(_mm_castpd_si128(_mm_cmplt_pd(_mm_setzero_pd(), magnitude)), 63);
  const __m128i away = _mm_srli_epi64(_mm_castpd_si128(_mm_xor_pd(sum, error)), 63);  // 1: the sum lies beyond the exact value
  const __m128i bits = _mm_sub_epi64(_mm_castpd_si128(sum), _mm_and_si128(away, inexact));
  return _mm_castsi128_pd(_mm_or_si128(bits, inexact));
}

/// a*b + c with one rounding.
[[nodiscard]] inline __m128 emulated_fma(__m128 a, __m128 b, __m128 c) noexcept {
  const __m128d low = fma_to_odd(_mm_cvtps_pd(a), _mm_cvtps_pd(b), _mm_cvtps_pd(c));
  const __m128d high =
      fma_to_odd(_mm_cvtps_pd(_mm_movehl_ps(a, a)), _mm_cvtps_pd(_mm_movehl_ps(b, b)), _mm_cvtps_pd(_mm_movehl_ps(c, c)));
  return _mm_movelh_ps(_mm_cvtpd_ps(low), _mm_cvtpd_ps(high));
}

}  // namespace bimtdp::simd::inline BIMTDP_ABI
BIMTDP_EXACT_END
#endif

BIMTDP_EXACT_BEGIN
namespace bimtdp::simd::inline BIMTDP_ABI {

/// a*b + c with one rounding: the C library's, but MinGW-w64's rounds twice.
[[nodiscard]] inline float exact_fma(float a, float b, float c) noexcept {
#if defined(__MINGW32__) && defined(__SSE2__) && !defined(__FMA__)
  return _mm_cvtss_f32(emulated_fma(_mm_set_ss(a), _mm_set_ss(b), _mm_set_ss(c)));
#else
  return std::fma(a, b, c);
#endif
}

}  // namespace bimtdp::simd::inline BIMTDP_ABI
BIMTDP_EXACT_END
