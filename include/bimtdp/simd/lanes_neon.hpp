// SPDX-License-Identifier: Apache-2.0
// 64-bit Arm: the words of the lane vocabulary (lane_set.hpp) with the popcount that xsimd lacks; floats are the baseline's.
//
// What makes it what it is:
//   cnt     popcounts of sixteen bytes in one instruction: two words are six operations, xor, cnt and add each, as many as the
//           adder of a pair alone (no ternary logic), so there are no pairs. The bytes are summed (uaddlp) every 31 words, before
//           they overflow.
//   32 registers for twelve pixels' bytes and sums, two weights and a pixel.
// Tile sizes follow from the registers; they were checked under qemu, which gives no times.
#pragma once

#include <bimtdp/simd/lane_set.hpp>
#include <bimtdp/simd/lanes_baseline.hpp>
#include <bimtdp/simd/target.hpp>

#if defined(__aarch64__)
#include <arm_neon.h>

BIMTDP_EXACT_BEGIN
namespace bimtdp::simd::inline BIMTDP_ABI::neon {

using baseline::Floats;

struct Ints {
  int32x4_t r;
  static constexpr std::size_t width = 4;
  [[nodiscard]] static Ints set(std::int32_t x) noexcept { return {vdupq_n_s32(x)}; }
  void store(std::int32_t* p) const noexcept { vst1q_s32(p, r); }
};
[[nodiscard]] inline Ints operator+(Ints a, Ints b) noexcept { return {vaddq_s32(a.r, b.r)}; }
template <int n>
[[nodiscard]] inline Ints shift_left(Ints a) noexcept {
  return {vshlq_n_s32(a.r, n)};
}

struct Split {
  [[nodiscard]] static Split at(std::size_t) noexcept { return {}; }
};
struct Words {
  uint32x4_t r;
  static constexpr std::size_t width = 4;
  [[nodiscard]] static Words load(const std::uint32_t* p) noexcept { return {vld1q_u32(p)}; }
  void store(std::uint32_t* p) const noexcept { vst1q_u32(p, r); }
  [[nodiscard]] static Words set(std::uint32_t x) noexcept { return {vdupq_n_u32(x)}; }
  [[nodiscard]] static Words set_two(const std::uint32_t* p, Split) noexcept { return set(*p); }  // never split
};
[[nodiscard]] inline Words operator^(Words a, Words b) noexcept { return {veorq_u32(a.r, b.r)}; }
[[nodiscard]] inline Words operator&(Words a, Words b) noexcept { return {vandq_u32(a.r, b.r)}; }
[[nodiscard]] inline Words operator|(Words a, Words b) noexcept { return {vorrq_u32(a.r, b.r)}; }
[[nodiscard]] inline Words and_not(Words a, Words b) noexcept { return {vbicq_u32(a.r, b.r)}; }
[[nodiscard]] inline Words add_pair(Words& ones, Words x0, Words x, Words w0, Words w) noexcept {
  const Words both = x ^ w, carry = ones ^ and_not(x0 ^ w0 ^ ones, both);
  ones = ones ^ both;
  return carry;
}
[[nodiscard]] inline Words add_pair(Words& ones, const std::uint32_t* x, Words w0, Words w) noexcept {
  return add_pair(ones, Words::set(x[0]), Words::set(x[1]), w0, w);
}

/// Popcounts of bytes, summed per byte: at most 31 words of 8 a byte.
struct BitCount {
  uint8x16_t bytes;
  static constexpr std::size_t capacity = 31;
  [[nodiscard]] static BitCount zero() noexcept { return {vdupq_n_u8(0)}; }
  void add(Words x) noexcept { bytes = vaddq_u8(bytes, vcntq_u8(vreinterpretq_u8_u32(x.r))); }
  [[nodiscard]] Ints take() noexcept {
    const uint32x4_t sums = vpaddlq_u16(vpaddlq_u8(bytes));
    bytes = vdupq_n_u8(0);
    return {vreinterpretq_s32_u32(sums)};
  }
};
struct TileShape {
  static constexpr int single_pixels = 12, pair_pixels = 0, quad_pixels = 0;
  static constexpr std::size_t pair_words = never;
  static constexpr bool splits = false;
};

static_assert(WordLanes<Words, BitCount, Ints, Split, TileShape>);

}  // namespace bimtdp::simd::inline BIMTDP_ABI::neon
BIMTDP_EXACT_END
#endif
