// SPDX-License-Identifier: Apache-2.0
// Bits of neighbouring pixels into the words of packed rows.

/// One vector of words: `halves` where 32-bit loads reach all the bits.
template <class Long, bool halves, bool pairs, bool spills>
inline void join_words(const JoinBits& j, std::size_t p) noexcept {
  const auto stored = [](Long word) { return pairs ? word ^ word << 32 : word; };
  const std::uint32_t* pixel = j.pixels + p * j.step;
  Long bits = halves ? Long::load_halves(pixel, j.step) : Long::load(pixel, j.step);
  bits = bits >> j.first & Long::set(j.bits == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << j.bits) - 1);
  (Long::load(j.low + 2 * p) ^ stored(bits << j.shift)).store(j.low + 2 * p);
  if constexpr (spills) stored(bits >> (64 - j.shift)).store(j.high + 2 * p);
}

template <bool halves, bool pairs, bool spills>
inline void join_all(const JoinBits& j) noexcept {
  std::size_t p = 0;
  for (; p + Longs::width <= j.count; p += Longs::width) join_words<Longs, halves, pairs, spills>(j, p);
  for (; p < j.count; ++p) join_words<simd::OneLong, halves, pairs, spills>(j, p);
}

template <bool halves, bool pairs>
inline void join_all(const JoinBits& j) noexcept {
  if (j.shift + j.bits > 64)
    join_all<halves, pairs, true>(j);
  else
    join_all<halves, pairs, false>(j);
}

inline void join_bits(const JoinBits& j) noexcept {
  if (j.first + j.bits <= 32)
    j.pairs ? join_all<true, true>(j) : join_all<true, false>(j);
  else
    j.pairs ? join_all<false, true>(j) : join_all<false, false>(j);
}
