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

inline void dot_integer(const std::int32_t* counts, std::size_t stride, std::int32_t valid, std::size_t pixels,
                        std::size_t channels, std::int32_t* out) noexcept {
  const Ints all = Ints::set(valid);
  for (std::size_t p = 0; p < pixels; ++p)
    for_lanes(channels, [&](std::size_t c, auto part) {
      (all - shift_left<1>(Ints::load(counts + p * stride + c, part))).store(out + p * channels + c, part);
    });
}

inline void dot_bits(const std::int32_t* counts, std::size_t stride, std::int32_t valid, std::size_t pixels, std::size_t channels,
                     const Thresholds& thresholds, std::uint32_t* out) noexcept {
  const Ints all = Ints::set(valid);
  pack(pixels, channels, out, [&](std::size_t p, std::size_t c, auto part) {
    const Ints dot = all - shift_left<1>(Ints::load(counts + p * stride + c, part));
    const IntMask above = at_least(dot, Ints::load(thresholds.at_least + c, part));
    return to_bits(above & at_least(Ints::load(thresholds.at_most + c, part), dot), part);
  });
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

inline void gate(const std::uint32_t* bits, std::size_t pixels, std::size_t channels, float* x) noexcept {
  const Floats zero = Floats::set(0.0f);
  for_bits(bits, pixels, channels, [&](std::size_t p, std::size_t c, Mask m, auto part) {
    float* const value = x + p * channels + c;
    select(m, Floats::load(value, part), zero).store(value, part);
  });
}
