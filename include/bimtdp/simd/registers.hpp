// SPDX-License-Identifier: Apache-2.0
// What xsimd lacks or does otherwise, by the register and for the features that the user's flags allow:
//   fused(a, b, c)  a*b + c with one rounding; xsimd's own is a product and a sum where its architecture has no fma.
//   bits_of(mask)   lane i in bit i.
#pragma once

#include <bimtdp/simd/emulated_fma.hpp>
#include <bimtdp/simd/target.hpp>

#include <cstdint>

#if defined(__SSE2__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

BIMTDP_EXACT_BEGIN
namespace bimtdp::simd::inline BIMTDP_ABI {

#if defined(__AVX512F__)
[[nodiscard]] inline __m512 fused(__m512 a, __m512 b, __m512 c) noexcept { return _mm512_fmadd_ps(a, b, c); }
[[nodiscard]] inline std::uint32_t bits_of(__mmask16 m) noexcept { return m; }
#endif

#if defined(__FMA__)
[[nodiscard]] inline __m256 fused(__m256 a, __m256 b, __m256 c) noexcept { return _mm256_fmadd_ps(a, b, c); }
[[nodiscard]] inline __m128 fused(__m128 a, __m128 b, __m128 c) noexcept { return _mm_fmadd_ps(a, b, c); }
#elif defined(__SSE2__)
[[nodiscard]] inline __m128 fused(__m128 a, __m128 b, __m128 c) noexcept { return emulated_fma(a, b, c); }
#if defined(__AVX__)
[[nodiscard]] inline __m256 fused(__m256 a, __m256 b, __m256 c) noexcept {
  const __m128 low = emulated_fma(_mm256_castps256_ps128(a), _mm256_castps256_ps128(b), _mm256_castps256_ps128(c));
  const __m128 high = emulated_fma(_mm256_extractf128_ps(a, 1), _mm256_extractf128_ps(b, 1), _mm256_extractf128_ps(c, 1));
  return _mm256_insertf128_ps(_mm256_castps128_ps256(low), high, 1);
}
#endif
#endif

#if defined(__AVX__)
[[nodiscard]] inline std::uint32_t bits_of(__m256 m) noexcept { return static_cast<std::uint32_t>(_mm256_movemask_ps(m)); }
[[nodiscard]] inline std::uint32_t bits_of(__m256i m) noexcept { return bits_of(_mm256_castsi256_ps(m)); }
#endif
#if defined(__SSE2__)
[[nodiscard]] inline std::uint32_t bits_of(__m128 m) noexcept { return static_cast<std::uint32_t>(_mm_movemask_ps(m)); }
[[nodiscard]] inline std::uint32_t bits_of(__m128i m) noexcept { return bits_of(_mm_castsi128_ps(m)); }
#elif defined(__aarch64__)
[[nodiscard]] inline float32x4_t fused(float32x4_t a, float32x4_t b, float32x4_t c) noexcept { return vfmaq_f32(c, a, b); }
[[nodiscard]] inline std::uint32_t bits_of(uint32x4_t m) noexcept {
  alignas(16) static constexpr std::uint32_t bits[4] = {1, 2, 4, 8};
  return vaddvq_u32(vandq_u32(m, vld1q_u32(bits)));
}
#endif

}  // namespace bimtdp::simd::inline BIMTDP_ABI
BIMTDP_EXACT_END
