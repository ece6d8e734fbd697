// SPDX-License-Identifier: Apache-2.0
// From counts of differing bits to what a binary convolution gives: dot products, floats, bits.

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

inline void dot_float(const std::int32_t* counts, std::size_t stride, std::int32_t valid, std::size_t pixels, std::size_t channels,
                      const Epilogue& e, float* out) noexcept {
  const Ints all = Ints::set(valid);
  const Floats all_float = Floats::set(static_cast<float>(valid)), minus_two = Floats::set(-2.0f);
  const auto dot = [=](std::size_t p, std::size_t c, auto part) {
    const Ints count = Ints::load(counts + p * stride + c, part);
    if constexpr (TileShape::cheap_fma) return fma(to_float(count), minus_two, all_float);  // exact: integers up to 2^24
    return to_float(all - shift_left<1>(count));
  };
  finish(dot, pixels, channels, e, out);
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
        pack_stream((std::min)(thresholds.repeat, pixels - p), channels, out + p * words,
                    [=](std::size_t i, auto part) { return test(from + i, i, part); });
      }
      return;
    }
  pack(pixels, channels, out, [=](std::size_t p, std::size_t c, auto part) { return test(counts + p * stride + c, c, part); });
}
