// SPDX-License-Identifier: Apache-2.0
// The lane vocabulary (lane_set.hpp) on AVX-512 with VPOPCNTDQ: sixteen lanes in 32 registers of 512 bits, eight mask registers.
//
// What makes it what it is:
//   vpopcntd    sixteen popcounts in one instruction: a word is xor, popcount and add, and no count ever overflows.
//   vpternlogd  any function of three inputs: a full adder of words is two of them, which is why pairs (binary_gemm.inl) pay here
//               for long filters. A pair holds two registers a pixel, a single word one.
//   vfmadd      4 cycles each; two a cycle on most of Intel's server cores (ports 0 and 5), one on Zen 4, which takes two
//               cycles a vector. 8 sums have to be in flight; a float tile keeps 12 to 24, beside one to four vectors of weights.
//   {1to16}     an operand is broadcast by its load: a pixel needs no register.
//   masks       load, store and compare a part of the lanes; gather and scatter are instructions.
// Tile sizes are what the registers hold; pairs and single words were compared with bench_kernels on a Sapphire Rapids and a
// Zen 4 (binary_gemm.inl).
#pragma once

#include <bimtdp/simd/lane_set.hpp>
#include <bimtdp/simd/target.hpp>

#if defined(__x86_64__)
#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <limits>

BIMTDP_TARGET_BEGIN(avx512)
namespace bimtdp::simd::inline BIMTDP_ABI::avx512 {

struct Whole {};
struct Part {
  __mmask16 mask;
  [[nodiscard]] static Part first(std::size_t n) noexcept { return {static_cast<__mmask16>((1u << n) - 1u)}; }
};

struct Floats {
  __m512 r;
  static constexpr std::size_t width = 16;
  [[nodiscard]] static Floats set(float x) noexcept { return {_mm512_set1_ps(x)}; }
  [[nodiscard]] static Floats load(const float* p, Whole = {}) noexcept { return {_mm512_loadu_ps(p)}; }
  [[nodiscard]] static Floats load(const float* p, Part part) noexcept { return {_mm512_maskz_loadu_ps(part.mask, p)}; }
  [[nodiscard]] static Floats gather(const float* p, std::size_t stride) noexcept {
    return {_mm512_i32gather_ps(strides(stride), p, 4)};
  }
  [[nodiscard]] static Floats load_quads(const float* p, std::size_t stride) noexcept {
    const auto quad = [=](std::size_t n) { return _mm_loadu_ps(p + n * stride); };
    const __m256 low = _mm256_insertf128_ps(_mm256_castps128_ps256(quad(0)), quad(1), 1);
    const __m256 high = _mm256_insertf128_ps(_mm256_castps128_ps256(quad(2)), quad(3), 1);
    return {_mm512_castpd_ps(_mm512_insertf64x4(_mm512_castps_pd(_mm512_castps256_ps512(low)), _mm256_castps_pd(high), 1))};
  }
  void store(float* p, Whole = {}) const noexcept { _mm512_storeu_ps(p, r); }
  void store(float* p, Part part) const noexcept { _mm512_mask_storeu_ps(p, part.mask, r); }
  void stream(float* p) const noexcept { _mm512_stream_ps(p, r); }
  static void end_stream() noexcept { _mm_sfence(); }
  void scatter(float* p, std::size_t stride) const noexcept { _mm512_i32scatter_ps(p, strides(stride), r, 4); }

 private:
  [[nodiscard]] static __m512i strides(std::size_t stride) noexcept {
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return _mm512_mullo_epi32(lane, _mm512_set1_epi32(static_cast<int>(stride)));
  }
};

struct Ints {
  __m512i r;
  static constexpr std::size_t width = 16;
  [[nodiscard]] static Ints set(std::int32_t x) noexcept { return {_mm512_set1_epi32(x)}; }
  [[nodiscard]] static Ints load(const std::int32_t* p, Whole = {}) noexcept { return {_mm512_loadu_si512(p)}; }
  [[nodiscard]] static Ints load(const std::int32_t* p, Part part) noexcept { return {_mm512_maskz_loadu_epi32(part.mask, p)}; }
  void store(std::int32_t* p, Whole = {}) const noexcept { _mm512_storeu_si512(p, r); }
  void store(std::int32_t* p, Part part) const noexcept { _mm512_mask_storeu_epi32(p, part.mask, r); }
};

struct Mask {
  __mmask16 r;
};
using IntMask = Mask;

inline void transpose4(Floats (&x)[4]) noexcept {
  const __m512 a = _mm512_unpacklo_ps(x[0].r, x[1].r), b = _mm512_unpackhi_ps(x[0].r, x[1].r);
  const __m512 c = _mm512_unpacklo_ps(x[2].r, x[3].r), d = _mm512_unpackhi_ps(x[2].r, x[3].r);
  x[0].r = _mm512_shuffle_ps(a, c, _MM_SHUFFLE(1, 0, 1, 0));
  x[1].r = _mm512_shuffle_ps(a, c, _MM_SHUFFLE(3, 2, 3, 2));
  x[2].r = _mm512_shuffle_ps(b, d, _MM_SHUFFLE(1, 0, 1, 0));
  x[3].r = _mm512_shuffle_ps(b, d, _MM_SHUFFLE(3, 2, 3, 2));
}

[[nodiscard]] inline Floats operator+(Floats a, Floats b) noexcept { return {_mm512_add_ps(a.r, b.r)}; }
[[nodiscard]] inline Floats operator-(Floats a, Floats b) noexcept { return {_mm512_sub_ps(a.r, b.r)}; }
[[nodiscard]] inline Floats operator*(Floats a, Floats b) noexcept { return {_mm512_mul_ps(a.r, b.r)}; }
[[nodiscard]] inline Floats operator/(Floats a, Floats b) noexcept { return {_mm512_div_ps(a.r, b.r)}; }
[[nodiscard]] inline Floats fma(Floats a, Floats b, Floats c) noexcept { return {_mm512_fmadd_ps(a.r, b.r, c.r)}; }
[[nodiscard]] inline Mask greater(Floats a, Floats b) noexcept { return {_mm512_cmp_ps_mask(a.r, b.r, _CMP_GT_OQ)}; }
[[nodiscard]] inline Mask at_least(Floats a, Floats b) noexcept { return {_mm512_cmp_ps_mask(a.r, b.r, _CMP_GE_OQ)}; }
[[nodiscard]] inline Mask is_nan(Floats a) noexcept { return {_mm512_cmp_ps_mask(a.r, a.r, _CMP_UNORD_Q)}; }
[[nodiscard]] inline Mask operator|(Mask a, Mask b) noexcept { return {static_cast<__mmask16>(a.r | b.r)}; }
[[nodiscard]] inline Mask operator&(Mask a, Mask b) noexcept { return {static_cast<__mmask16>(a.r & b.r)}; }
[[nodiscard]] inline Floats select(Mask m, Floats yes, Floats no) noexcept { return {_mm512_mask_blend_ps(m.r, no.r, yes.r)}; }

[[nodiscard]] inline Ints operator+(Ints a, Ints b) noexcept { return {_mm512_add_epi32(a.r, b.r)}; }
[[nodiscard]] inline Ints operator-(Ints a, Ints b) noexcept { return {_mm512_sub_epi32(a.r, b.r)}; }
[[nodiscard]] inline IntMask at_least(Ints a, Ints b) noexcept { return {_mm512_cmpge_epi32_mask(a.r, b.r)}; }
[[nodiscard]] inline IntMask within(Ints x, Ints least, Ints most) noexcept {
  return {_mm512_mask_cmple_epi32_mask(_mm512_cmpge_epi32_mask(x.r, least.r), x.r, most.r)};
}
template <unsigned n>
[[nodiscard]] inline Ints shift_left(Ints a) noexcept {
  return {_mm512_slli_epi32(a.r, n)};
}
template <unsigned n>
[[nodiscard]] inline Ints shift_right(Ints a) noexcept {
  return {_mm512_srai_epi32(a.r, n)};
}
[[nodiscard]] inline Floats to_float(Ints a) noexcept { return {_mm512_cvtepi32_ps(a.r)}; }
[[nodiscard]] inline Ints as_ints(Floats a) noexcept { return {_mm512_castps_si512(a.r)}; }
[[nodiscard]] inline Floats as_floats(Ints a) noexcept { return {_mm512_castsi512_ps(a.r)}; }

[[nodiscard]] inline std::uint32_t to_bits(Mask m, Whole = {}) noexcept { return m.r; }
[[nodiscard]] inline std::uint32_t to_bits(Mask m, Part part) noexcept { return static_cast<std::uint32_t>(m.r & part.mask); }
[[nodiscard]] inline Mask mask_of(std::uint32_t bits) noexcept { return {static_cast<__mmask16>(bits & 0xffffu)}; }

struct Split {
  __mmask16 second;
  [[nodiscard]] static Split at(std::size_t lane) noexcept { return {static_cast<__mmask16>(0xffffu << lane)}; }
};
struct Words {
  __m512i r;
  static constexpr std::size_t width = 16;
  [[nodiscard]] static Words load(const std::uint32_t* p) noexcept { return {_mm512_loadu_si512(p)}; }
  void store(std::uint32_t* p) const noexcept { _mm512_storeu_si512(p, r); }
  [[nodiscard]] static Words set(std::uint32_t x) noexcept { return {_mm512_set1_epi32(static_cast<int>(x))}; }
  [[nodiscard]] static Words set_two(const std::uint32_t* p, Split split) noexcept {
    return {_mm512_mask_broadcastd_epi32(set(p[0]).r, split.second, _mm_cvtsi32_si128(static_cast<int>(p[2])))};
  }
};
[[nodiscard]] inline Words operator^(Words a, Words b) noexcept { return {_mm512_xor_si512(a.r, b.r)}; }
[[nodiscard]] inline Words operator&(Words a, Words b) noexcept { return {_mm512_and_si512(a.r, b.r)}; }
[[nodiscard]] inline Words operator|(Words a, Words b) noexcept { return {_mm512_or_si512(a.r, b.r)}; }
[[nodiscard]] inline Words and_not(Words a, Words b) noexcept { return {_mm512_andnot_si512(b.r, a.r)}; }
/// Written in assembly with the pixel's halves as memory operands: left to itself g++ 12 loads and copies more registers than
/// there are operations (6 % of a wide layer's time on a Zen 4).
[[nodiscard]] inline Words add_pair(Words& ones, const std::uint32_t* x, Words w0, Words w) noexcept {
  Words carry, low;
  asm("vmovdqa64 %[ones], %[carry]\n\t"
      "vpternlogd $0x96, %[x]%{1to16%}, %[w], %[ones]\n\t"
      "vpxord %[x0]%{1to16%}, %[w0], %[low]\n\t"
      "vpternlogd $0xd4, %[ones], %[low], %[carry]"
      : [ones] "+&v"(ones.r), [carry] "=&v"(carry.r), [low] "=&v"(low.r)
      : [x] "m"(x[1]), [x0] "m"(x[0]), [w0] "v"(w0.r), [w] "v"(w.r));
  return carry;
}
[[nodiscard]] inline Words add_pair(Words& ones, Words x0, Words x, Words w0, Words w) noexcept {
  const Words before = ones;
  ones.r = _mm512_ternarylogic_epi32(ones.r, x.r, w.r, 0x96);
  return {_mm512_ternarylogic_epi32(before.r, (x0 ^ w0).r, ones.r, 0xd4)};
}

struct BitCount {
  __m512i sum;
  static constexpr std::size_t capacity = (std::numeric_limits<std::size_t>::max)();
  [[nodiscard]] static BitCount zero() noexcept { return {_mm512_setzero_si512()}; }
  void add(Words x) noexcept { sum = _mm512_add_epi32(sum, _mm512_popcnt_epi32(x.r)); }
  [[nodiscard]] Ints take() noexcept {
    const Ints taken{sum};
    sum = _mm512_setzero_si512();
    return taken;
  }
};

struct Longs {
  __m512i r;
  static constexpr std::size_t width = 8;
  [[nodiscard]] static Longs set(std::uint64_t x) noexcept { return {_mm512_set1_epi64(static_cast<long long>(x))}; }
  [[nodiscard]] static Longs load(const std::uint32_t* p) noexcept { return {_mm512_loadu_si512(p)}; }
  [[nodiscard]] static Longs load_halves(const std::uint32_t* p, std::size_t stride) noexcept {
    if (stride == 1) return {_mm512_cvtepu32_epi64(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
    return {_mm512_cvtepu32_epi64(_mm512_i64gather_epi32(strides(stride), p, 4))};
  }
  [[nodiscard]] static Longs load(const std::uint32_t* p, std::size_t stride) noexcept {
    if (stride == 2) return load(p);
    return {_mm512_i64gather_epi64(strides(stride), p, 4)};
  }
  void store(std::uint32_t* p) const noexcept { _mm512_storeu_si512(p, r); }

 private:
  [[nodiscard]] static __m512i strides(std::size_t stride) noexcept {
    const auto at = [=](std::size_t i) { return static_cast<long long>(i * stride); };
    return _mm512_setr_epi64(at(0), at(1), at(2), at(3), at(4), at(5), at(6), at(7));
  }
};
[[nodiscard]] inline Longs operator^(Longs a, Longs b) noexcept { return {_mm512_xor_si512(a.r, b.r)}; }
[[nodiscard]] inline Longs operator&(Longs a, Longs b) noexcept { return {_mm512_and_si512(a.r, b.r)}; }
[[nodiscard]] inline Longs operator<<(Longs a, std::size_t n) noexcept {
  return {_mm512_sll_epi64(a.r, _mm_cvtsi32_si128(static_cast<int>(n)))};
}
[[nodiscard]] inline Longs operator>>(Longs a, std::size_t n) noexcept {
  return {_mm512_srl_epi64(a.r, _mm_cvtsi32_si128(static_cast<int>(n)))};
}

struct TileShape {
  static constexpr int single_pixels = 12, pair_pixels = 8, quad_pixels = 0;
  static constexpr std::size_t pair_words = 8;
  static constexpr bool splits = true, cheap_fma = true;
  static constexpr int float_pixels(int vectors) noexcept { return vectors <= 2 ? 12 : vectors == 3 ? 8 : 6; }
};

// Mask is what mask_of gives.
static_assert(FloatLanes<Floats, Ints, decltype(mask_of(1u)), IntMask, Whole, Part, TileShape>);
static_assert(WordLanes<Words, BitCount, Ints, Split, TileShape>);
static_assert(LongLanes<Longs>);

}  // namespace bimtdp::simd::inline BIMTDP_ABI::avx512
BIMTDP_TARGET_END
#endif
