// SPDX-License-Identifier: Apache-2.0
// The lane vocabulary. A tier's lane set is the namespace simd::<tier> with these names; the kernel bodies are written in them
// alone. The concepts say the same to the compiler: each lanes_<tier>.hpp ends with them.
//
//   Whole, Part     which lanes a load or store touches: all, or the first ones. Part::first(n), 0 < n < width.
//   Floats, Ints    `width` lanes of float or int32: load(p[, part]), set(value), store(p[, part]); Floats::gather(p, stride)
//                   and scatter(p, stride), stride below 2^20. A partial load gives 0 in the other lanes.
//                   Floats::load_quads(p, stride): lanes 4n to 4n + 3 from p + n*stride.
//                   stream(p): store past the caches where the tier can; p is a multiple of the vector's size, and
//                   end_stream() comes before anybody else looks.
//   transpose4(x[4])   swaps lane 4n + j of x[i] with lane 4n + i of x[j].
//   + - * /, fma    one rounding each; fma is fused on every machine.
//   greater, at_least, is_nan -> Mask;  at_least(Ints, Ints), within(x, least, most) -> IntMask;  |, & of masks;
//   select(mask, yes, no).   Comparisons with NaN are false.
//   to_bits(mask[, part])   lane i in bit i, lanes outside the part 0.    mask_of(bits)   the reverse.
//   to_float(Ints), as_ints(Floats), as_floats(Ints), shift_left<n>(Ints), shift_right<n>(Ints) (arithmetic).
//   Words           `width` lanes of 32 bits: load, store, set, ^ & |, and_not(a, b).  One lane is one output channel.
//                   add_pair(ones, x0, x, w0, w) adds x0 ^ w0 and x1 ^ w1 bitwise to `ones` and returns the carry; the second
//                   words are given as x = x0 ^ x1 and w = w0 ^ w1.  add_pair(ones, p, w0, w): x0 and x are p[0] and p[1].
//                   set_two(p, Split::at(n)): p[0] in the first n lanes, p[2] in the others; reads p[0] to p[3].
//   Longs           `width` lanes of 64 bits, each two halves in memory, the lower first: set, ^ &, << and >> by less than 64,
//                   load(p), load(p, stride) and load_halves(p, stride) (upper halves 0), `stride` halves apart; store.
//   BitCount        popcounts summed per lane: zero(), add(word), and take(), which gives the sums since the last take as
//                   Ints. It takes at most `capacity` words in between.
//   TileShape       tile sizes that fit the registers. Bits: pixels of a tile that counts word by word, in carry-save pairs or in
//                   fours (0 where that does not pay); pair_words: filters of so many 64-bit words and more are stored as
//                   pairs; splits: there is set_two; cheap_fma: fma is an instruction.
//                   Floats: pixels of a tile of one, two, three and four vectors.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>

namespace bimtdp::simd {

/// TileShape::pair_words where words are never stored as pairs.
inline constexpr std::size_t never = ~std::size_t{0};

// clang-format off

/// Loads and stores of values of type T, all lanes or a part.
template <class V, class T, class Whole, class Part>
concept PartialLanes = requires(V v, const T* from, T* to, Part part, std::size_t n) {
  { V::width + n } -> std::same_as<std::size_t>;
  { V::set(T{}) } -> std::same_as<V>;
  { V::load(from) } -> std::same_as<V>;
  { V::load(from, Whole{}) } -> std::same_as<V>;
  { V::load(from, Part::first(n)) } -> std::same_as<V>;
  v.store(to);
  v.store(to, Whole{});
  v.store(to, part);
};

template <class Floats, class Ints, class Mask>
concept FloatArithmetic = requires(Floats f, Floats (&four)[4], const float* from, float* to, std::size_t n) {
  { Floats::gather(from, n) } -> std::same_as<Floats>;
  { Floats::load_quads(from, n) } -> std::same_as<Floats>;
  f.scatter(to, n);
  f.stream(to);
  Floats::end_stream();
  transpose4(four);
  { f + f } -> std::same_as<Floats>;
  { f - f } -> std::same_as<Floats>;
  { f * f } -> std::same_as<Floats>;
  { f / f } -> std::same_as<Floats>;
  { fma(f, f, f) } -> std::same_as<Floats>;
  { as_ints(f) } -> std::same_as<Ints>;
  { greater(f, f) } -> std::same_as<Mask>;
  { at_least(f, f) } -> std::same_as<Mask>;
  { is_nan(f) } -> std::same_as<Mask>;
  { select(is_nan(f), f, f) } -> std::same_as<Floats>;
};

template <class Ints, class Floats, class IntMask>
concept IntArithmetic = requires(Ints i) {
  { i + i } -> std::same_as<Ints>;
  { i - i } -> std::same_as<Ints>;
  { shift_left<1>(i) } -> std::same_as<Ints>;
  { shift_right<1>(i) } -> std::same_as<Ints>;
  { to_float(i) } -> std::same_as<Floats>;
  { as_floats(i) } -> std::same_as<Floats>;
  { at_least(i, i) } -> std::same_as<IntMask>;
  { within(i, i, i) } -> std::same_as<IntMask>;
};

template <class Mask, class Whole, class Part>
concept MaskBits = requires(Mask mask, Part part) {
  { to_bits(mask) } -> std::same_as<std::uint32_t>;
  { to_bits(mask, Whole{}) } -> std::same_as<std::uint32_t>;
  { to_bits(mask, part) } -> std::same_as<std::uint32_t>;
};

/// Floats, the ints beside them, and masks of both; Mask is what mask_of gives.
template <class Floats, class Ints, class Mask, class IntMask, class Whole, class Part, class TileShape>
concept FloatLanes =
    PartialLanes<Floats, float, Whole, Part> && PartialLanes<Ints, std::int32_t, Whole, Part> &&
    FloatArithmetic<Floats, Ints, Mask> && IntArithmetic<Ints, Floats, IntMask> &&
    MaskBits<Mask, Whole, Part> && MaskBits<IntMask, Whole, Part> && Floats::width == Ints::width &&
    requires(Mask m, IntMask i) {
      { m | m } -> std::same_as<Mask>;
      { i & i } -> std::same_as<IntMask>;
      { TileShape::float_pixels(1) } -> std::same_as<int>;
      { !TileShape::cheap_fma } -> std::same_as<bool>;
    };

/// Binary words and their counts.
template <class Words, class BitCount, class Ints, class Split, class TileShape>
concept WordLanes = Words::width == Ints::width &&
    requires(Words x, const std::uint32_t* from, std::uint32_t* to, std::size_t n) {
      { Words::load(from) } -> std::same_as<Words>;
      x.store(to);
      { Words::set(1u) } -> std::same_as<Words>;
      { Words::set_two(from, Split::at(n)) } -> std::same_as<Words>;
      { x ^ x } -> std::same_as<Words>;
      { x & x } -> std::same_as<Words>;
      { x | x } -> std::same_as<Words>;
      { and_not(x, x) } -> std::same_as<Words>;
      { add_pair(x, x, x, x, x) } -> std::same_as<Words>;
      { add_pair(x, from, x, x) } -> std::same_as<Words>;
    } && requires(Words x, BitCount count, Ints i, std::int32_t* to, std::size_t n) {
      { BitCount::zero() } -> std::same_as<BitCount>;
      { BitCount::capacity + n } -> std::same_as<std::size_t>;
      { count.take() } -> std::same_as<Ints>;
      { i + shift_left<1>(i) } -> std::same_as<Ints>;
      count.add(x);
      Ints::set(0).store(to);
      { TileShape::single_pixels + TileShape::pair_pixels + TileShape::quad_pixels } -> std::same_as<int>;
      { TileShape::pair_words + n } -> std::same_as<std::size_t>;
      { !TileShape::splits } -> std::same_as<bool>;
    };

/// Words of 64 bits in two halves.
template <class Longs>
concept LongLanes = requires(Longs x, const std::uint32_t* from, std::uint32_t* to, std::size_t n) {
  { Longs::width + n } -> std::same_as<std::size_t>;
  { Longs::set(std::uint64_t{1}) } -> std::same_as<Longs>;
  { Longs::load(from) } -> std::same_as<Longs>;
  { Longs::load(from, n) } -> std::same_as<Longs>;
  { Longs::load_halves(from, n) } -> std::same_as<Longs>;
  { x ^ x } -> std::same_as<Longs>;
  { x & x } -> std::same_as<Longs>;
  { x << n } -> std::same_as<Longs>;
  { x >> n } -> std::same_as<Longs>;
  x.store(to);
};

// clang-format on

}  // namespace bimtdp::simd
