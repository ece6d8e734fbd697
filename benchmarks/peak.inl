// SPDX-License-Identifier: Apache-2.0
// Loops that stay in registers: what the tier could do if memory were free. Included once per lane set.

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

/// `rounds` times 16 vectors of xor + popcount + add; returns the number of 32-bit words.
inline double binary_rounds(std::size_t rounds) {
  constexpr std::size_t sums = BitCount::capacity == 31 ? 4 : 16;  // table look-ups need the registers themselves
  constexpr std::size_t each = 16 / sums;
  BitCount count[sums];
  Ints total = Ints::set(0);
  Words x[4], w[4];
  for (std::uint32_t i = 0; i < 4; ++i) x[i] = Words::set(i * 77u), w[i] = Words::set(i * 1234567u);
  BIMTDP_UNROLL
  for (std::size_t i = 0; i < sums; ++i) count[i] = BitCount::zero();
  for (std::size_t r = 0; r < rounds; ++r) {
    BIMTDP_UNROLL
    for (std::size_t i = 0; i < sums; ++i) {
      BIMTDP_UNROLL
      for (std::size_t j = 0; j < each; ++j) count[i].add(x[i % 4] ^ w[each > 1 ? j % 4 : i / 4]);
    }
    BIMTDP_UNROLL
    for (std::size_t i = 0; i < (each > 1 ? 2 : 4); ++i) x[i] = hide(x[i]), w[i] = hide(w[i]);
    if (each > 1 && r % 7 == 6)
      for (std::size_t i = 0; i < sums; ++i) total = total + count[i].take();
  }
  for (std::size_t i = 0; i < sums; ++i) total = total + count[i].take();
  std::int32_t lanes[Ints::width];
  total.store(lanes);
  benchmark::DoNotOptimize(lanes[0]);
  return static_cast<double>(rounds) * 16.0 * static_cast<double>(Words::width);
}
