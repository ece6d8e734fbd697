// SPDX-License-Identifier: Apache-2.0
// The lane vocabulary (lane_set.hpp) on AVX2 with FMA: eight lanes in sixteen registers of 256 bits.
//
// What makes it what it is:
//   vfmadd    two a cycle on Intel's cores since Haswell and AMD's since Zen 2, 4 or 5 cycles each (uops.info), so that 8 to 10
//             sums have to be in flight. A float tile keeps 8 to 12; its weights and a broadcast pixel take the other registers.
//   vpshufb   looks up the popcounts of 32 nibbles. A word takes seven operations, two of them look-ups, so carry-save adders
//             come first and only every fourth plane is counted (binary_gemm.inl). A tile of three such pixels holds nine
//             registers of fours, twos and ones; the table, the mask and what is in work take the rest.
//   vmaskmov  loads and stores the first lanes. There is no scatter, and vgatherdps is not used (see gather).
// Tile sizes are what the registers hold.
#pragma once

#include <bimtdp/simd/lane_set.hpp>
#include <bimtdp/simd/target.hpp>

#if defined(__x86_64__)
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

BIMTDP_TARGET_BEGIN(avx2)
namespace bimtdp::simd::inline BIMTDP_ABI::avx2 {

struct Whole {};
struct Part {
  __m256i mask;
  std::uint32_t bits;
  [[nodiscard]] static Part first(std::size_t n) noexcept {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return {_mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), lane), (1u << n) - 1u};
  }
};

struct Floats {
  __m256 r;
  static constexpr std::size_t width = 8;
  [[nodiscard]] static Floats set(float x) noexcept { return {_mm256_set1_ps(x)}; }
  [[nodiscard]] static Floats load(const float* p, Whole = {}) noexcept { return {_mm256_loadu_ps(p)}; }
  [[nodiscard]] static Floats load(const float* p, Part part) noexcept { return {_mm256_maskload_ps(p, part.mask)}; }
  [[nodiscard]] static Floats gather(const float* p, std::size_t stride) noexcept {
    // Not vgatherdps: it is slow on early AVX2 machines, and qemu 7.2 gets it wrong.
    const auto at = [=](std::size_t i) { return p[i * stride]; };
    return {_mm256_setr_ps(at(0), at(1), at(2), at(3), at(4), at(5), at(6), at(7))};
  }
  [[nodiscard]] static Floats load_quads(const float* p, std::size_t stride) noexcept {
    return {_mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(p)), _mm_loadu_ps(p + stride), 1)};
  }
  void store(float* p, Whole = {}) const noexcept { _mm256_storeu_ps(p, r); }
  void store(float* p, Part part) const noexcept { _mm256_maskstore_ps(p, part.mask, r); }
  void stream(float* p) const noexcept { _mm256_stream_ps(p, r); }
  static void end_stream() noexcept { _mm_sfence(); }
  void scatter(float* p, std::size_t stride) const noexcept {
    alignas(32) float t[width];
    _mm256_store_ps(t, r);
    for (std::size_t i = 0; i < width; ++i) p[i * stride] = t[i];
  }
};

struct Ints {
  __m256i r;
  static constexpr std::size_t width = 8;
  [[nodiscard]] static Ints set(std::int32_t x) noexcept { return {_mm256_set1_epi32(x)}; }
  [[nodiscard]] static Ints load(const std::int32_t* p, Whole = {}) noexcept {
    return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))};
  }
  [[nodiscard]] static Ints load(const std::int32_t* p, Part part) noexcept { return {_mm256_maskload_epi32(p, part.mask)}; }
  void store(std::int32_t* p, Whole = {}) const noexcept { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), r); }
  void store(std::int32_t* p, Part part) const noexcept { _mm256_maskstore_epi32(p, part.mask, r); }
};

struct Mask {
  __m256 r;
};
struct IntMask {
  __m256i r;
};

inline void transpose4(Floats (&x)[4]) noexcept {
  const __m256 a = _mm256_unpacklo_ps(x[0].r, x[1].r), b = _mm256_unpackhi_ps(x[0].r, x[1].r);
  const __m256 c = _mm256_unpacklo_ps(x[2].r, x[3].r), d = _mm256_unpackhi_ps(x[2].r, x[3].r);
  x[0].r = _mm256_shuffle_ps(a, c, _MM_SHUFFLE(1, 0, 1, 0));
  x[1].r = _mm256_shuffle_ps(a, c, _MM_SHUFFLE(3, 2, 3, 2));
  x[2].r = _mm256_shuffle_ps(b, d, _MM_SHUFFLE(1, 0, 1, 0));
  x[3].r = _mm256_shuffle_ps(b, d, _MM_SHUFFLE(3, 2, 3, 2));
}

[[nodiscard]] inline Floats operator+(Floats a, Floats b) noexcept { return {_mm256_add_ps(a.r, b.r)}; }
[[nodiscard]] inline Floats operator-(Floats a, Floats b) noexcept { return {_mm256_sub_ps(a.r, b.r)}; }
[[nodiscard]] inline Floats operator*(Floats a, Floats b) noexcept { return {_mm256_mul_ps(a.r, b.r)}; }
[[nodiscard]] inline Floats operator/(Floats a, Floats b) noexcept { return {_mm256_div_ps(a.r, b.r)}; }
[[nodiscard]] inline Floats fma(Floats a, Floats b, Floats c) noexcept { return {_mm256_fmadd_ps(a.r, b.r, c.r)}; }
[[nodiscard]] inline Mask greater(Floats a, Floats b) noexcept { return {_mm256_cmp_ps(a.r, b.r, _CMP_GT_OQ)}; }
[[nodiscard]] inline Mask at_least(Floats a, Floats b) noexcept { return {_mm256_cmp_ps(a.r, b.r, _CMP_GE_OQ)}; }
[[nodiscard]] inline Mask is_nan(Floats a) noexcept { return {_mm256_cmp_ps(a.r, a.r, _CMP_UNORD_Q)}; }
[[nodiscard]] inline Mask operator|(Mask a, Mask b) noexcept { return {_mm256_or_ps(a.r, b.r)}; }
[[nodiscard]] inline Floats select(Mask m, Floats yes, Floats no) noexcept { return {_mm256_blendv_ps(no.r, yes.r, m.r)}; }

[[nodiscard]] inline Ints operator+(Ints a, Ints b) noexcept { return {_mm256_add_epi32(a.r, b.r)}; }
[[nodiscard]] inline Ints operator-(Ints a, Ints b) noexcept { return {_mm256_sub_epi32(a.r, b.r)}; }
[[nodiscard]] inline IntMask at_least(Ints a, Ints b) noexcept { return {_mm256_cmpeq_epi32(_mm256_max_epi32(a.r, b.r), a.r)}; }
[[nodiscard]] inline IntMask operator&(IntMask a, IntMask b) noexcept { return {_mm256_and_si256(a.r, b.r)}; }
[[nodiscard]] inline IntMask within(Ints x, Ints least, Ints most) noexcept {
  const __m256i outside = _mm256_or_si256(_mm256_cmpgt_epi32(least.r, x.r), _mm256_cmpgt_epi32(x.r, most.r));
  return {_mm256_xor_si256(outside, _mm256_set1_epi32(-1))};
}
template <int n>
[[nodiscard]] inline Ints shift_left(Ints a) noexcept {
  return {_mm256_slli_epi32(a.r, n)};
}
template <int n>
[[nodiscard]] inline Ints shift_right(Ints a) noexcept {
  return {_mm256_srai_epi32(a.r, n)};
}
[[nodiscard]] inline Floats to_float(Ints a) noexcept { return {_mm256_cvtepi32_ps(a.r)}; }
[[nodiscard]] inline Ints as_ints(Floats a) noexcept { return {_mm256_castps_si256(a.r)}; }
[[nodiscard]] inline Floats as_floats(Ints a) noexcept { return {_mm256_castsi256_ps(a.r)}; }

[[nodiscard]] inline std::uint32_t to_bits(Mask m, Whole = {}) noexcept {
  return static_cast<std::uint32_t>(_mm256_movemask_ps(m.r));
}
[[nodiscard]] inline std::uint32_t to_bits(IntMask m, Whole = {}) noexcept { return to_bits(Mask{_mm256_castsi256_ps(m.r)}); }
[[nodiscard]] inline std::uint32_t to_bits(Mask m, Part part) noexcept { return to_bits(m) & part.bits; }
[[nodiscard]] inline std::uint32_t to_bits(IntMask m, Part part) noexcept { return to_bits(m) & part.bits; }
[[nodiscard]] inline Mask mask_of(std::uint32_t bits) noexcept {
  const __m256i lane = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
  const __m256i picked = _mm256_and_si256(_mm256_set1_epi32(static_cast<int>(bits)), lane);
  return {_mm256_castsi256_ps(_mm256_cmpeq_epi32(picked, lane))};
}

struct Split {
  __m256i index;
  [[nodiscard]] static Split at(std::size_t lane) noexcept {
    return {_mm256_andnot_si256(Part::first(lane).mask, _mm256_set1_epi32(2))};
  }
};
struct Words {
  __m256i r;
  static constexpr std::size_t width = 8;
  [[nodiscard]] static Words load(const std::uint32_t* p) noexcept {
    return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))};
  }
  void store(std::uint32_t* p) const noexcept { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), r); }
  [[nodiscard]] static Words set(std::uint32_t x) noexcept { return {_mm256_set1_epi32(static_cast<int>(x))}; }
  [[nodiscard]] static Words set_two(const std::uint32_t* p, Split split) noexcept {
    const __m256 both = _mm256_castpd_ps(_mm256_broadcast_pd(reinterpret_cast<const __m128d*>(p)));
    return {_mm256_castps_si256(_mm256_permutevar_ps(both, split.index))};
  }
};
[[nodiscard]] inline Words operator^(Words a, Words b) noexcept { return {_mm256_xor_si256(a.r, b.r)}; }
[[nodiscard]] inline Words operator&(Words a, Words b) noexcept { return {_mm256_and_si256(a.r, b.r)}; }
[[nodiscard]] inline Words operator|(Words a, Words b) noexcept { return {_mm256_or_si256(a.r, b.r)}; }
[[nodiscard]] inline Words and_not(Words a, Words b) noexcept { return {_mm256_andnot_si256(b.r, a.r)}; }
[[nodiscard]] inline Words add_pair(Words& ones, Words x0, Words x, Words w0, Words w) noexcept {
  const Words both = x ^ w, carry = ones ^ and_not(x0 ^ w0 ^ ones, both);
  ones = ones ^ both;
  return carry;
}
[[nodiscard]] inline Words add_pair(Words& ones, const std::uint32_t* x, Words w0, Words w) noexcept {
  return add_pair(ones, Words::set(x[0]), Words::set(x[1]), w0, w);
}

/// Popcounts of nibbles by table look-up, summed per byte: at most 31 words of 8 a byte.
struct BitCount {
  __m256i bytes;
  static constexpr std::size_t capacity = 31;
  [[nodiscard]] static BitCount zero() noexcept { return {_mm256_setzero_si256()}; }
  void add(Words x) noexcept {
    const __m256i table =
        _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
    const __m256i low = _mm256_set1_epi8(15);
    const __m256i a = _mm256_shuffle_epi8(table, _mm256_and_si256(x.r, low));
    const __m256i b = _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(x.r, 4), low));
    bytes = _mm256_add_epi8(bytes, _mm256_add_epi8(a, b));
  }
  [[nodiscard]] Ints take() noexcept {
    const __m256i halves = _mm256_maddubs_epi16(bytes, _mm256_set1_epi8(1));
    bytes = _mm256_setzero_si256();
    return {_mm256_madd_epi16(halves, _mm256_set1_epi16(1))};
  }
};

struct Longs {
  __m256i r;
  static constexpr std::size_t width = 4;
  [[nodiscard]] static Longs set(std::uint64_t x) noexcept { return {_mm256_set1_epi64x(static_cast<long long>(x))}; }
  [[nodiscard]] static Longs load(const std::uint32_t* p) noexcept {
    return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))};
  }
  [[nodiscard]] static Longs load_halves(const std::uint32_t* p, std::size_t stride) noexcept {
    if (stride == 1) return {_mm256_cvtepu32_epi64(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
    return {_mm256_setr_epi64x(p[0], p[stride], p[2 * stride], p[3 * stride])};
  }
  [[nodiscard]] static Longs load(const std::uint32_t* p, std::size_t stride) noexcept {
    if (stride == 2) return load(p);
    const auto at = [=](std::size_t i) { return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p + i * stride)); };
    return {_mm256_set_m128i(_mm_unpacklo_epi64(at(2), at(3)), _mm_unpacklo_epi64(at(0), at(1)))};
  }
  void store(std::uint32_t* p) const noexcept { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), r); }
};
[[nodiscard]] inline Longs operator^(Longs a, Longs b) noexcept { return {_mm256_xor_si256(a.r, b.r)}; }
[[nodiscard]] inline Longs operator&(Longs a, Longs b) noexcept { return {_mm256_and_si256(a.r, b.r)}; }
[[nodiscard]] inline Longs operator<<(Longs a, std::size_t n) noexcept {
  return {_mm256_sll_epi64(a.r, _mm_cvtsi32_si128(static_cast<int>(n)))};
}
[[nodiscard]] inline Longs operator>>(Longs a, std::size_t n) noexcept {
  return {_mm256_srl_epi64(a.r, _mm_cvtsi32_si128(static_cast<int>(n)))};
}

struct TileShape {
  static constexpr int single_pixels = 4, pair_pixels = 0, quad_pixels = 3;
  static constexpr std::size_t pair_words = 16;
  static constexpr bool splits = true, cheap_fma = true;
  static constexpr int float_pixels(int vectors) noexcept { return vectors == 1 ? 8 : vectors == 2 ? 6 : vectors == 3 ? 4 : 3; }
};

// Mask is what mask_of gives.
static_assert(FloatLanes<Floats, Ints, decltype(mask_of(1u)), IntMask, Whole, Part, TileShape>);
static_assert(WordLanes<Words, BitCount, Ints, Split, TileShape>);
static_assert(LongLanes<Longs>);

}  // namespace bimtdp::simd::inline BIMTDP_ABI::avx2
BIMTDP_TARGET_END
#endif
