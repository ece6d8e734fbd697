// SPDX-License-Identifier: Apache-2.0
// exp(x) as one fixed sequence of rounded operations, so that every tier gives the same bits.
//   n = round(x / ln 2), r = x - n ln 2, exp(x) = 2^n (1 + r + r^2 q(r)), q a minimax polynomial of degree 4.
// Relative error <= 2e-7 (half that of the last bit more for subnormal results); exp(-inf) = 0, exp(inf) = inf, NaN stays.
// body/exponential.inl says the same in lanes.
#pragma once

#include <bimtdp/simd/emulated_fma.hpp>
#include <bimtdp/simd/target.hpp>

#include <bit>
#include <cstdint>

namespace bimtdp::kernels {

struct ExponentialConstants {
  static constexpr float lowest = -104.0f, highest = 89.0f;  ///< beyond them the result is 0 and infinity
  static constexpr float inverse_ln2 = 0x1.715476p+0f;
  static constexpr float round_magic = 12582912.0f;       ///< 1.5 * 2^23: adding it rounds to an integer held in the low bits
  static constexpr std::int32_t round_bits = 0x4B400000;  ///< the bits of round_magic
  static constexpr float ln2_high = 0x1.62e430p-1f, ln2_low = -0x1.05c610p-29f;
  static constexpr float q0 = 0x1.fffffcp-2f, q1 = 0x1.555492p-3f, q2 = 0x1.5558f2p-5f, q3 = 0x1.123a20p-7f, q4 = 0x1.6a23d0p-10f;
};

}  // namespace bimtdp::kernels

BIMTDP_EXACT_BEGIN
namespace bimtdp::kernels::inline BIMTDP_ABI::reference {

/// 2^n for -126 <= n <= 127; n outside (only from NaN) gives some float.
[[nodiscard]] inline float power_of_two(std::int32_t n) noexcept {
  return std::bit_cast<float>((static_cast<std::uint32_t>(n) + 127u) << 23);
}

[[nodiscard]] inline float exponential(float x) noexcept {
  using C = ExponentialConstants;
  x = x < C::lowest ? C::lowest : x;
  x = x > C::highest ? C::highest : x;
  const float rounded = simd::exact_fma(x, C::inverse_ln2, C::round_magic);
  const float steps = rounded - C::round_magic;
  const float r = simd::exact_fma(steps, -C::ln2_low, simd::exact_fma(steps, -C::ln2_high, x));
  float q = simd::exact_fma(r, C::q4, C::q3);
  q = simd::exact_fma(r, q, C::q2);
  q = simd::exact_fma(r, q, C::q1);
  q = simd::exact_fma(r, q, C::q0);
  const float power = simd::exact_fma(r * r, q, r) + 1.0f;
  // 2^n in two factors, since n reaches from -150 to 128; C++20 defines >> of a negative number.
  const auto n = static_cast<std::int32_t>(std::bit_cast<std::uint32_t>(rounded) - static_cast<std::uint32_t>(C::round_bits));
  const std::int32_t half = n >> 1;
  const auto rest = static_cast<std::int32_t>(static_cast<std::uint32_t>(n) - static_cast<std::uint32_t>(half));
  return power * power_of_two(half) * power_of_two(rest);
}

}  // namespace bimtdp::kernels::inline BIMTDP_ABI::reference
BIMTDP_EXACT_END
