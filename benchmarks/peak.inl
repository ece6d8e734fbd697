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
