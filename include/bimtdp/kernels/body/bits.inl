// SPDX-License-Identifier: Apache-2.0
// Between vectors and packed bits: how the bodies write bits, and how they read them.

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

/// The reverse: visit(pixel, channel, mask of the vector's bits, part).
template <class Visit>
inline void for_bits(const std::uint32_t* bits, std::size_t pixels, std::size_t channels, Visit visit) noexcept {
  const std::size_t words = (channels + 31) / 32;
  for (std::size_t p = 0; p < pixels; ++p, bits += words)
    for_lanes(channels, [&](std::size_t c, auto part) { visit(p, c, mask_of(bits[c / 32] >> (c % 32)), part); });
}
