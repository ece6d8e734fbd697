// SPDX-License-Identifier: Apache-2.0
// Between values and packed bits: binarize, thresholds, unpack, gate.

/// Packs one bit a channel: test(pixel, channel, part) gives the bits of a vector of channels, those outside the part 0.
template <class Test>
inline void pack(std::size_t pixels, std::size_t channels, std::uint32_t* out, Test test) noexcept {
  constexpr std::size_t step = Floats::width;
  for (std::size_t p = 0; p < pixels; ++p) {
    std::size_t c = 0;
    for (; c + 32 <= channels; c += 32) {
      std::uint32_t word = 0;
      BIMTDP_UNROLL
      for (std::size_t i = 0; i < 32; i += step) word |= test(p, c + i, Whole{}) << i;
      *out++ = word;
    }
    if (c == channels) continue;
    std::uint32_t word = 0;
    for_lanes(channels - c, [&](std::size_t i, auto part) { word |= test(p, c + i, part) << i; });
    *out++ = word;
  }
}

/// The reverse: visit(pixel, channel, mask of the vector's bits, part).
template <class Visit>
inline void for_bits(const std::uint32_t* bits, std::size_t pixels, std::size_t channels, Visit visit) noexcept {
  const std::size_t words = (channels + 31) / 32;
  for (std::size_t p = 0; p < pixels; ++p, bits += words)
    for_lanes(channels, [&](std::size_t c, auto part) { visit(p, c, mask_of(bits[c / 32] >> (c % 32)), part); });
}

inline void correct_counts(std::int32_t* counts, std::size_t channels, std::int32_t shift, const std::int32_t* above,
                           const std::int32_t* to_end) noexcept {
  const Ints add = Ints::set(shift);
  for_lanes(channels, [&](std::size_t c, auto part) {
    (Ints::load(counts + c, part) + add + (Ints::load(above + c, part) - Ints::load(to_end + c, part))).store(counts + c, part);
  });
}

inline void dot_integer(const std::int32_t* counts, std::size_t stride, std::int32_t valid, std::size_t pixels,
                        std::size_t channels, std::int32_t* out) noexcept {
  const Ints all = Ints::set(valid);
  for (std::size_t p = 0; p < pixels; ++p)
    for_lanes(channels, [&](std::size_t c, auto part) {
      (all - shift_left<1>(Ints::load(counts + p * stride + c, part))).store(out + p * channels + c, part);
    });
}

/// Bits of a stream of `count` values, test(i, part) a vector, then of each pixel's channels: vectors need not end with a pixel.
template <class Test>
inline void pack_stream(std::size_t pixels, std::size_t channels, std::uint32_t* out, Test test) noexcept {
  unsigned char stream[4096 / 8 + 8];
  unsigned char* to = stream;
  for_lanes(pixels * channels, [&](std::size_t i, auto part) {
    const std::uint32_t bits = test(i, part);
    for (std::size_t byte = 0; byte < Ints::width / 8; ++byte) *to++ = static_cast<unsigned char>(bits >> (8 * byte));
  });
  for (std::size_t p = 0; p < pixels; ++p)
    for (std::size_t c = 0; c < channels; c += 32) {
      const std::size_t bit = p * channels + c;
      std::uint64_t bits;
      std::memcpy(&bits, stream + bit / 8, sizeof bits);
      *out++ =
          static_cast<std::uint32_t>((bits >> (bit % 8)) & ((std::uint64_t{1} << std::min<std::size_t>(32, channels - c)) - 1));
    }
}

inline void count_bits(const std::int32_t* counts, std::size_t stride, std::size_t pixels, std::size_t channels,
                       const Thresholds& thresholds, std::uint32_t* out) noexcept {
  const std::int32_t *const least = thresholds.at_least, *const most = thresholds.at_most;
  const Ints shift = Ints::set(thresholds.shift);
  const auto test = [=](const std::int32_t* n, std::size_t c, auto part) {
    return to_bits(within(Ints::load(n, part) + shift, Ints::load(least + c, part), Ints::load(most + c, part)), part);
  };
  if constexpr (Ints::width >= 8)
    if (thresholds.repeat > 1 && stride == channels) {
      const std::size_t words = (channels + 31) / 32;
      for (std::size_t p = 0; p < pixels; p += thresholds.repeat) {
        const std::int32_t* from = counts + p * stride;
        pack_stream(std::min(thresholds.repeat, pixels - p), channels, out + p * words,
                    [=](std::size_t i, auto part) { return test(from + i, i, part); });
      }
      return;
    }
  pack(pixels, channels, out, [=](std::size_t p, std::size_t c, auto part) { return test(counts + p * stride + c, c, part); });
}

inline void binarize(const float* x, std::size_t pixels, std::size_t channels, const float* scale, const float* shift,
                     std::uint32_t* out) noexcept {
  const Floats zero = Floats::set(0.0f);
  const auto value = [=](std::size_t p, std::size_t c, auto part) { return Floats::load(x + p * channels + c, part); };
  if (scale) {
    pack(pixels, channels, out, [&](std::size_t p, std::size_t c, auto part) {
      return to_bits(at_least(fma(value(p, c, part), Floats::load(scale + c, part), Floats::load(shift + c, part)), zero), part);
    });
  } else if (shift) {
    pack(pixels, channels, out, [&](std::size_t p, std::size_t c, auto part) {
      return to_bits(at_least(value(p, c, part) + Floats::load(shift + c, part), zero), part);
    });
  } else if (Floats::width >= 8 && channels % Floats::width != 0 && channels <= 128) {  // vectors of several pixels
    const std::size_t piece = 4096 / channels, words = (channels + 31) / 32;
    for (std::size_t p = 0; p < pixels; p += piece) {
      const float* from = x + p * channels;
      pack_stream(std::min(piece, pixels - p), channels, out + p * words,
                  [=](std::size_t i, auto part) { return to_bits(at_least(Floats::load(from + i, part), zero), part); });
    }
  } else {
    pack(pixels, channels, out,
         [&](std::size_t p, std::size_t c, auto part) { return to_bits(at_least(value(p, c, part), zero), part); });
  }
}

inline void unpack(const std::uint32_t* bits, std::size_t pixels, std::size_t channels, float* out) noexcept {
  const Floats one = Floats::set(1.0f), minus = Floats::set(-1.0f);
  for_bits(bits, pixels, channels,
           [&](std::size_t p, std::size_t c, Mask m, auto part) { select(m, one, minus).store(out + p * channels + c, part); });
}

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
