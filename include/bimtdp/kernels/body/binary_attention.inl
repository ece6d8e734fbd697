// SPDX-License-Identifier: Apache-2.0
// Binarized attention: messages added and gated, eq. (2) and (3).

/// visit(pixel, channel, y, part) for a row of attention.
template <class Visit>
inline void for_attention(const AttentionRow& row, std::size_t pixels, std::size_t channels, Visit visit) noexcept {
  const Floats one = Floats::set(1.0f), minus = Floats::set(-1.0f), zero = Floats::set(0.0f);
  const std::size_t words = (channels + 31) / 32;
  for (std::size_t p = 0; p < pixels; ++p)
    for_lanes(channels, [&](std::size_t c, auto part) {
      const std::size_t i = p * channels + c, word = p * words + c / 32;
      const auto mask = [&](const std::uint32_t* bits) { return mask_of(bits[word] >> (c % 32)); };
      Floats y = row.identity ? Floats::load(row.identity + i, part) : select(mask(row.identity_bits), one, minus);
      if (row.message_count > 0) {
        Floats sum = Floats::load(row.messages[0] + i, part);
        for (std::size_t m = 1; m < row.message_count; ++m) sum = sum + Floats::load(row.messages[m] + i, part);
        y = y + (row.gate ? select(mask(row.gate), sum, zero) : sum);
      }
      visit(p, c, y, part);
    });
}

inline void attend(const AttentionRow& row, std::size_t pixels, std::size_t channels, float* out, std::size_t step) noexcept {
  for_attention(row, pixels, channels,
                [&](std::size_t p, std::size_t c, Floats y, auto part) { y.store(out + p * step + c, part); });
}

inline void attend_bits(const AttentionRow& row, std::size_t pixels, std::size_t channels, std::size_t first, std::uint32_t* out,
                        std::size_t step) noexcept {
  const Floats zero = Floats::set(0.0f);
  for_attention(row, pixels, channels, [&](std::size_t p, std::size_t c, Floats y, auto part) {
    const std::uint64_t bits = std::uint64_t{to_bits(at_least(y, zero), part)} << ((first + c) % 32);
    std::uint32_t* to = out + p * step + (first + c) / 32;
    to[0] |= static_cast<std::uint32_t>(bits);
    if (bits >> 32) to[1] |= static_cast<std::uint32_t>(bits >> 32);
  });
}

inline void gate(const std::uint32_t* bits, std::size_t pixels, std::size_t channels, float* x) noexcept {
  const Floats zero = Floats::set(0.0f);
  for_bits(bits, pixels, channels, [&](std::size_t p, std::size_t c, Mask m, auto part) {
    float* const value = x + p * channels + c;
    select(m, Floats::load(value, part), zero).store(value, part);
  });
}
