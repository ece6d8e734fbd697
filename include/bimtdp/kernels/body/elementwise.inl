// SPDX-License-Identifier: Apache-2.0
// Sums, products and bilinear rows.

inline void add(const float* a, const float* b, std::size_t count, float* out) noexcept {
  for_lanes(count, [&](std::size_t i, auto part) { (Floats::load(a + i, part) + Floats::load(b + i, part)).store(out + i, part); });
}

inline void multiply(const float* a, const float* b, std::size_t count, float* out) noexcept {
  for_lanes(count, [&](std::size_t i, auto part) { (Floats::load(a + i, part) * Floats::load(b + i, part)).store(out + i, part); });
}

/// The four corners of an output value and the place between them.
inline Floats interpolate(Floats top_left, Floats top_right, Floats bottom_left, Floats bottom_right, Floats f,
                          Floats row) noexcept {
  const Floats t = fma(f, top_right - top_left, top_left);
  const Floats u = fma(f, bottom_right - bottom_left, bottom_left);
  return fma(row, u - t, t);
}

/// Fewer channels than lanes: a vector holds several pixels, its corners are collected one by one.
inline void resize_row_narrow(const float* top, const float* bottom, float row_fraction, const std::uint32_t* left,
                              const std::uint32_t* right, const float* fraction, std::size_t pixels, std::size_t channels,
                              float* out) noexcept {
  const Floats row = Floats::set(row_fraction);
  alignas(64) float corner[5][Floats::width] = {};
  std::size_t x = 0, c = 0;
  for_lanes(pixels * channels, [&](std::size_t i, auto part) {
    const std::size_t lanes = std::min(Floats::width, pixels * channels - i);
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      const std::size_t l = left[x] * channels + c, r = right[x] * channels + c;
      corner[0][lane] = top[l];
      corner[1][lane] = top[r];
      corner[2][lane] = bottom[l];
      corner[3][lane] = bottom[r];
      corner[4][lane] = fraction[x];
      if (++c == channels) c = 0, ++x;
    }
    interpolate(Floats::load(corner[0]), Floats::load(corner[1]), Floats::load(corner[2]), Floats::load(corner[3]),
                Floats::load(corner[4]), row)
        .store(out + i, part);
  });
}

inline void resize_row(const float* top, const float* bottom, float row_fraction, const std::uint32_t* left,
                       const std::uint32_t* right, const float* fraction, std::size_t pixels, std::size_t channels,
                       float* out) noexcept {
  if (channels < Floats::width) return resize_row_narrow(top, bottom, row_fraction, left, right, fraction, pixels, channels, out);
  const Floats row = Floats::set(row_fraction);
  for (std::size_t x = 0; x < pixels; ++x) {
    const std::size_t l = left[x] * channels, r = right[x] * channels;
    const Floats f = Floats::set(fraction[x]);
    for_lanes(channels, [&](std::size_t c, auto part) {
      interpolate(Floats::load(top + l + c, part), Floats::load(top + r + c, part), Floats::load(bottom + l + c, part),
                  Floats::load(bottom + r + c, part), f, row)
          .store(out + x * channels + c, part);
    });
  }
}
