// SPDX-License-Identifier: Apache-2.0
// Loops that stay in registers: what a tier could do if memory were free (simd/regions.inl compiles them once per tier).
namespace peak::BIMTDP_TIER {
using namespace bimtdp::simd::BIMTDP_TIER;

#if BIMTDP_LANES == BIMTDP_NO_LANES
/// Popcounts in the integer registers, two 32-bit words each; returns the number of those.
inline double binary_rounds(std::size_t rounds) {
  std::uint64_t sum[4] = {}, x[2] = {rounds * 3, rounds * 5}, w[2] = {rounds * 7, rounds * 11};
  for (std::size_t r = 0; r < rounds; ++r) {
    BIMTDP_UNROLL
    for (std::size_t i = 0; i < 4; ++i) sum[i] += popcount(x[i % 2] ^ w[i / 2]);
    asm volatile("" : "+r"(x[0]), "+r"(x[1]), "+r"(w[0]), "+r"(w[1]));
  }
  benchmark::DoNotOptimize(sum[0] + sum[1] + sum[2] + sum[3]);
  return static_cast<double>(rounds) * 8.0;
}
#else
/// Keeps the compiler from knowing the value, without moving it.
template <class V>
inline V hide(V v) {
  if constexpr (requires { typename decltype(v.r)::register_type; }) {
    auto r = static_cast<typename decltype(v.r)::register_type>(v.r);
    asm volatile("" : BIMTDP_VECTOR_REGISTER(r));
    v.r = decltype(v.r)(r);
  } else {
    asm volatile("" : BIMTDP_VECTOR_REGISTER(v.r));
  }
  return v;
}

/// xor + popcount + add of independent sums, `rounds` times; returns the number of 32-bit words.
inline double binary_rounds(std::size_t rounds) {
  constexpr std::size_t side = BitCount::capacity > 255 ? 4 : 2;  // table look-ups need the registers themselves
  BitCount count[side][side];
  Words x[side], w[side];
  BIMTDP_UNROLL
  for (std::uint32_t i = 0; i < side; ++i) {
    x[i] = Words::set(i * 77u), w[i] = Words::set(i * 1234567u);
    BIMTDP_UNROLL
    for (std::size_t j = 0; j < side; ++j) count[i][j] = BitCount::zero();
  }
  Ints total = Ints::set(0);
  for (std::size_t left = rounds; left > 0;) {
    const std::size_t now = std::min(left, BitCount::capacity);
    for (std::size_t r = 0; r < now; ++r) {
      BIMTDP_UNROLL
      for (std::size_t i = 0; i < side; ++i) {
        BIMTDP_UNROLL
        for (std::size_t j = 0; j < side; ++j) count[i][j].add(x[i] ^ w[j]);
      }
      BIMTDP_UNROLL
      for (std::size_t i = 0; i < side; ++i) x[i] = hide(x[i]), w[i] = hide(w[i]);
    }
    BIMTDP_UNROLL
    for (std::size_t i = 0; i < side; ++i) {
      BIMTDP_UNROLL
      for (std::size_t j = 0; j < side; ++j) total = total + count[i][j].take();
    }
    left -= now;
  }
  std::int32_t lanes[Ints::width];
  total.store(lanes);
  benchmark::DoNotOptimize(lanes[0]);
  return static_cast<double>(rounds * side * side * Words::width);
}
#endif

#if BIMTDP_LANES == BIMTDP_ALL_LANES
/// The fused multiply-adds of `rounds` turns; returns their number.
inline double float_rounds(std::size_t rounds) {
  constexpr std::size_t sums = 10;
  Floats sum[sums], x = Floats::set(0.5f), w = Floats::set(0.25f);
  BIMTDP_UNROLL
  for (std::size_t i = 0; i < sums; ++i) sum[i] = Floats::set(static_cast<float>(i));
  for (std::size_t r = 0; r < rounds; ++r) {
    BIMTDP_UNROLL
    for (std::size_t i = 0; i < sums; ++i) sum[i] = fma(x, w, sum[i]);
    x = hide(x), w = hide(w);
  }
  float lanes[Floats::width];
  for (std::size_t i = 0; i < sums; ++i) {
    sum[i].store(lanes);
    benchmark::DoNotOptimize(lanes[0]);
  }
  return static_cast<double>(rounds) * static_cast<double>(sums * Floats::width);
}
#else
using baseline::float_rounds;
#endif

}  // namespace peak::BIMTDP_TIER
