// SPDX-License-Identifier: Apache-2.0
// Signs of floats, and back.

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
      pack_stream((std::min)(piece, pixels - p), channels, out + p * words,
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
