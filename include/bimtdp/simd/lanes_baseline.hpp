// SPDX-License-Identifier: Apache-2.0
// The lane vocabulary (lane_set.hpp) on xsimd: vectors of the widest kind that the compiler's flags allow, on plain x86-64 SSE2
// (four lanes, sixteen registers), on 64-bit Arm NEON (four lanes, 32 registers); where xsimd knows none, on PlainBatch.
//
// What makes it what it is on SSE2: there is neither a fused multiply-add nor a popcount nor a shuffle by a table.
//   fma       is emulated in double (emulated_fma.hpp, some forty operations), which needs most of the registers: tiles of
//             float convolutions are small. Where the flags or the architecture have it, it is one instruction.
//   popcount  by sums of bits, pairs and nibbles, eleven operations a word; carry-save adders let one serve four (binary_gemm.inl).
//   partial loads and stores, gather and transpose go through memory.
// Tile sizes are what the registers hold.
#pragma once

#include <bimtdp/simd/lane_set.hpp>
#include <bimtdp/simd/one_long.hpp>
#include <bimtdp/simd/plain_batch.hpp>
#include <bimtdp/simd/registers.hpp>
#include <bimtdp/simd/target.hpp>

#include <xsimd/xsimd.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

BIMTDP_EXACT_BEGIN
namespace bimtdp::simd::inline BIMTDP_ABI::baseline {

#if defined(XSIMD_NO_SUPPORTED_ARCHITECTURE)
template <class T>
using Batch = PlainBatch<T>;
#else
template <class T>
using Batch = xsimd::batch<T, xsimd::default_arch>;
#endif
using FloatBatch = Batch<float>;
using IntBatch = Batch<std::int32_t>;
using WordBatch = Batch<std::uint32_t>;

struct Whole {};
struct Part {
  std::size_t count;
  [[nodiscard]] static Part first(std::size_t n) noexcept { return {n}; }
};

struct Floats {
  FloatBatch r;
  static constexpr std::size_t width = FloatBatch::size;

  [[nodiscard]] static Floats set(float x) noexcept { return {FloatBatch(x)}; }
  [[nodiscard]] static Floats load(const float* p, Whole = {}) noexcept { return {FloatBatch::load_unaligned(p)}; }
  [[nodiscard]] static Floats load(const float* p, Part part) noexcept {
    alignas(64) float t[width] = {};
    for (std::size_t i = 0; i < part.count; ++i) t[i] = p[i];
    return {FloatBatch::load_aligned(t)};
  }
  [[nodiscard]] static Floats gather(const float* p, std::size_t stride) noexcept {
    alignas(64) float t[width];
    for (std::size_t i = 0; i < width; ++i) t[i] = p[i * stride];
    return {FloatBatch::load_aligned(t)};
  }
  [[nodiscard]] static Floats load_quads(const float* p, std::size_t stride) noexcept {
    alignas(64) float t[width];
    for (std::size_t i = 0; i < width; ++i) t[i] = p[i / 4 * stride + i % 4];
    return {FloatBatch::load_aligned(t)};
  }
  void store(float* p, Whole = {}) const noexcept { r.store_unaligned(p); }
  void store(float* p, Part part) const noexcept { store_first(p, 1, part.count); }
  void stream(float* p) const noexcept { store(p); }
  static void end_stream() noexcept {}
  void scatter(float* p, std::size_t stride) const noexcept { store_first(p, stride, width); }

 private:
  void store_first(float* p, std::size_t stride, std::size_t count) const noexcept {
    alignas(64) float t[width];
    r.store_aligned(t);
    for (std::size_t i = 0; i < count; ++i) p[i * stride] = t[i];
  }
};

struct Ints {
  IntBatch r;
  static constexpr std::size_t width = IntBatch::size;

  [[nodiscard]] static Ints set(std::int32_t x) noexcept { return {IntBatch(x)}; }
  [[nodiscard]] static Ints load(const std::int32_t* p, Whole = {}) noexcept { return {IntBatch::load_unaligned(p)}; }
  [[nodiscard]] static Ints load(const std::int32_t* p, Part part) noexcept {
    alignas(64) std::int32_t t[width] = {};
    for (std::size_t i = 0; i < part.count; ++i) t[i] = p[i];
    return {IntBatch::load_aligned(t)};
  }
  void store(std::int32_t* p, Whole = {}) const noexcept { r.store_unaligned(p); }
  void store(std::int32_t* p, Part part) const noexcept {
    alignas(64) std::int32_t t[width];
    r.store_aligned(t);
    for (std::size_t i = 0; i < part.count; ++i) p[i] = t[i];
  }
};

struct Mask {
  FloatBatch::batch_bool_type r;
};
struct IntMask {
  IntBatch::batch_bool_type r;
};

inline void transpose4(Floats (&x)[4]) noexcept {
  alignas(64) float from[4][Floats::width], to[4][Floats::width];
  for (std::size_t i = 0; i < 4; ++i) x[i].store(from[i]);
  for (std::size_t i = 0; i < 4; ++i) {
    for (std::size_t lane = 0; lane < Floats::width; ++lane) to[i][lane] = from[lane % 4][lane / 4 * 4 + i];
    x[i] = Floats::load(to[i]);
  }
}

[[nodiscard]] inline Floats operator+(Floats a, Floats b) noexcept { return {a.r + b.r}; }
[[nodiscard]] inline Floats operator-(Floats a, Floats b) noexcept { return {a.r - b.r}; }
[[nodiscard]] inline Floats operator*(Floats a, Floats b) noexcept { return {a.r * b.r}; }
#if defined(__aarch64__)
// xsimd 8.1 divides by an approximate reciprocal.
[[nodiscard]] inline Floats operator/(Floats a, Floats b) noexcept {
  return {FloatBatch(vdivq_f32(static_cast<float32x4_t>(a.r), static_cast<float32x4_t>(b.r)))};
}
#else
[[nodiscard]] inline Floats operator/(Floats a, Floats b) noexcept { return {a.r / b.r}; }
#endif
[[nodiscard]] inline Mask greater(Floats a, Floats b) noexcept { return {a.r > b.r}; }
[[nodiscard]] inline Mask at_least(Floats a, Floats b) noexcept { return {a.r >= b.r}; }
// Not a != a: xsimd 8.1 makes that an ordered comparison on AVX and AVX-512.
[[nodiscard]] inline Mask is_nan(Floats a) noexcept { return {isnan(a.r)}; }
[[nodiscard]] inline Mask operator|(Mask a, Mask b) noexcept { return {a.r | b.r}; }
[[nodiscard]] inline Floats select(Mask m, Floats yes, Floats no) noexcept { return {select(m.r, yes.r, no.r)}; }

[[nodiscard]] inline Ints operator+(Ints a, Ints b) noexcept { return {a.r + b.r}; }
[[nodiscard]] inline Ints operator-(Ints a, Ints b) noexcept { return {a.r - b.r}; }
[[nodiscard]] inline IntMask at_least(Ints a, Ints b) noexcept { return {a.r >= b.r}; }
[[nodiscard]] inline IntMask operator&(IntMask a, IntMask b) noexcept { return {a.r & b.r}; }
[[nodiscard]] inline IntMask within(Ints x, Ints least, Ints most) noexcept { return at_least(x, least) & at_least(most, x); }
template <int n>
[[nodiscard]] inline Ints shift_left(Ints a) noexcept {
  return {a.r << n};
}
template <int n>
[[nodiscard]] inline Ints shift_right(Ints a) noexcept {
  return {a.r >> n};
}
[[nodiscard]] inline Floats to_float(Ints a) noexcept { return {to_float(a.r)}; }

// xsimd spells the bit cast of a batch differently in each major version; that of a register is plain C++.
[[nodiscard]] inline Ints as_ints(Floats a) noexcept {
  const typename FloatBatch::register_type from = a.r;
  typename IntBatch::register_type to;
  static_assert(sizeof from == sizeof to);
  std::memcpy(&to, &from, sizeof to);
  return {IntBatch(to)};
}
[[nodiscard]] inline Floats as_floats(Ints a) noexcept {
  const typename IntBatch::register_type from = a.r;
  typename FloatBatch::register_type to;
  std::memcpy(&to, &from, sizeof to);
  return {FloatBatch(to)};
}

// -- fused multiply-add: hardware or exact emulation where registers.hpp knows the register, lane by lane elsewhere.
[[nodiscard]] inline Floats fma(Floats a, Floats b, Floats c) noexcept {
#if defined(__SSE2__) || defined(__aarch64__)
  using Register = typename FloatBatch::register_type;
  return {FloatBatch(fused(static_cast<Register>(a.r), static_cast<Register>(b.r), static_cast<Register>(c.r)))};
#else
  alignas(64) float x[Floats::width], y[Floats::width], z[Floats::width];
  a.store(x), b.store(y), c.store(z);
  for (std::size_t i = 0; i < Floats::width; ++i) x[i] = exact_fma(x[i], y[i], z[i]);
  return Floats::load(x);
#endif
}

// -- masks and bits ----------------------------------------------------------------------------------------------------

static_assert(Floats::width <= 16);
alignas(64) inline constexpr std::int32_t lane_bits[16] = {1,      1 << 1, 1 << 2,  1 << 3,  1 << 4,  1 << 5,  1 << 6,  1 << 7,
                                                           1 << 8, 1 << 9, 1 << 10, 1 << 11, 1 << 12, 1 << 13, 1 << 14, 1 << 15};

template <class M>
[[nodiscard]] inline std::uint32_t lanes_of(const M& m) noexcept {
#if defined(__SSE2__) || defined(__aarch64__)
  return bits_of(static_cast<typename M::register_type>(m));
#else
  bool lanes[Floats::width];
  m.store_unaligned(lanes);
  std::uint32_t bits = 0;
  for (std::size_t i = 0; i < Floats::width; ++i) bits |= static_cast<std::uint32_t>(lanes[i]) << i;
  return bits;
#endif
}

[[nodiscard]] inline std::uint32_t to_bits(Mask m, Whole = {}) noexcept { return lanes_of(m.r); }
[[nodiscard]] inline std::uint32_t to_bits(IntMask m, Whole = {}) noexcept { return lanes_of(m.r); }
template <class M>
[[nodiscard]] inline std::uint32_t to_bits(M m, Part part) noexcept {
  return to_bits(m) & ((1u << part.count) - 1u);
}

/// Compared as floats, where xsimd's two versions agree on the type of the mask; a lane's bit is exact in float.
[[nodiscard]] inline Mask mask_of(std::uint32_t bits) noexcept {
  const IntBatch picked = IntBatch(static_cast<std::int32_t>(bits)) & IntBatch::load_aligned(lane_bits);
  return {to_float(picked) != FloatBatch(0.0f)};
}

// -- binary words ------------------------------------------------------------------------------------------------------

struct Split {
  [[nodiscard]] static Split at(std::size_t) noexcept { return {}; }
};
struct Words {
  WordBatch r;
  static constexpr std::size_t width = WordBatch::size;
  [[nodiscard]] static Words load(const std::uint32_t* p) noexcept { return {WordBatch::load_unaligned(p)}; }
  void store(std::uint32_t* p) const noexcept { r.store_unaligned(p); }
  [[nodiscard]] static Words set(std::uint32_t x) noexcept { return {WordBatch(x)}; }
  [[nodiscard]] static Words set_two(const std::uint32_t* p, Split) noexcept { return set(*p); }  // never split
};
[[nodiscard]] inline Words operator^(Words a, Words b) noexcept { return {a.r ^ b.r}; }
[[nodiscard]] inline Words operator&(Words a, Words b) noexcept { return {a.r & b.r}; }
[[nodiscard]] inline Words operator|(Words a, Words b) noexcept { return {a.r | b.r}; }
[[nodiscard]] inline Words and_not(Words a, Words b) noexcept { return {a.r & ~b.r}; }
[[nodiscard]] inline Words add_pair(Words& ones, Words x0, Words x, Words w0, Words w) noexcept {
  const Words both = x ^ w, carry = ones ^ and_not(x0 ^ w0 ^ ones, both);
  ones = ones ^ both;
  return carry;
}
[[nodiscard]] inline Words add_pair(Words& ones, const std::uint32_t* x, Words w0, Words w) noexcept {
  return add_pair(ones, Words::set(x[0]), Words::set(x[1]), w0, w);
}

/// Popcounts of bytes by partial sums, summed per byte: at most 31 words of 8 a byte.
struct BitCount {
  WordBatch bytes;
  static constexpr std::size_t capacity = 31;
  [[nodiscard]] static BitCount zero() noexcept { return {WordBatch(std::uint32_t{0})}; }
  void add(Words x) noexcept {
    const WordBatch pairs(0x55555555u), nibbles(0x33333333u), low(0x0f0f0f0fu);
    WordBatch t = x.r - ((x.r >> 1) & pairs);
    t = (t & nibbles) + ((t >> 2) & nibbles);
    bytes = bytes + ((t + (t >> 4)) & low);
  }
  [[nodiscard]] Ints take() noexcept {
    const WordBatch even(0x00ff00ffu);
    WordBatch t = (bytes & even) + ((bytes >> 8) & even);
    t = (t + (t >> 16)) & WordBatch(0xffffu);
    bytes = WordBatch(std::uint32_t{0});
    alignas(64) std::uint32_t lanes[Words::width];
    t.store_aligned(lanes);
    return {IntBatch::load_aligned(reinterpret_cast<const std::int32_t*>(lanes))};
  }
};

using Longs = OneLong;

struct TileShape {
  static constexpr int single_pixels = 4, pair_pixels = 0, quad_pixels = 2;
  static constexpr std::size_t pair_words = 16;
  static constexpr bool splits = false;
#if defined(__FMA__) || defined(__aarch64__)
  static constexpr bool cheap_fma = true;
#else
  static constexpr bool cheap_fma = false;
#endif
#if defined(__aarch64__)
  static constexpr int float_pixels(int vectors) noexcept { return vectors == 1 ? 12 : vectors == 2 ? 8 : 6; }
#else
  static constexpr int float_pixels(int vectors) noexcept { return vectors == 1 ? 6 : vectors == 2 ? 4 : 2; }
#endif
};

// Mask is what mask_of gives.
static_assert(FloatLanes<Floats, Ints, decltype(mask_of(1u)), IntMask, Whole, Part, TileShape>);
static_assert(WordLanes<Words, BitCount, Ints, Split, TileShape>);
static_assert(LongLanes<Longs>);

}  // namespace bimtdp::simd::inline BIMTDP_ABI::baseline
BIMTDP_EXACT_END
