// SPDX-License-Identifier: Apache-2.0
// Bilinear rows.

/// Between a and b.
inline Floats interpolate(Floats fraction, Floats a, Floats b) noexcept { return fma(fraction, b - a, a); }

inline void resize_rows(const float* top, const float* bottom, float fraction, std::size_t count, bool stream,
                        float* out) noexcept {
  const Floats f = Floats::set(fraction);
  const auto value = [=](std::size_t i, auto part) {
    return interpolate(f, Floats::load(top + i, part), Floats::load(bottom + i, part));
  };
  constexpr std::size_t size = sizeof(float) * Floats::width;
  if (!stream || reinterpret_cast<std::uintptr_t>(out) % size != 0)
    return for_lanes(count, [&](std::size_t i, auto part) { value(i, part).store(out + i, part); });
  std::size_t i = 0;
  for (; i + Floats::width <= count; i += Floats::width) value(i, Whole{}).stream(out + i);
  if (i < count) value(i, Part::first(count - i)).store(out + i, Part::first(count - i));
  Floats::end_stream();
}

/// The values of one channel at the places of a vector of pixels; the lanes behind the last pixel are undefined.
inline Floats collect(const float* row, const std::uint32_t* index, std::size_t pixels) noexcept {
  alignas(64) float values[Floats::width];
  for (std::size_t lane = 0; lane < pixels; ++lane) values[lane] = row[index[lane]];
  for (std::size_t lane = pixels; lane < Floats::width; ++lane) values[lane] = 0.0f;
  return Floats::load(values);
}

inline void resize_columns(const float* row, const std::uint32_t* left, const std::uint32_t* right, const float* fraction,
                           std::size_t pixels, std::size_t channels, float* out) noexcept {
  if (channels == 1) {  // pixels across the lanes
    for_lanes(pixels, [&](std::size_t x, auto part) {
      const std::size_t count = (std::min)(Floats::width, pixels - x);
      interpolate(Floats::load(fraction + x, part), collect(row, left + x, count), collect(row, right + x, count))
          .store(out + x, part);
    });
    return;
  }
  for (std::size_t x = 0; x < pixels; ++x, out += channels) {
    const float *const l = row + left[x] * channels, *const r = row + right[x] * channels;
    const Floats f = Floats::set(fraction[x]);
    for_lanes(channels, [&](std::size_t c, auto part) {
      interpolate(f, Floats::load(l + c, part), Floats::load(r + c, part)).store(out + c, part);
    });
  }
}

inline void resize_row(const float* top, const float* bottom, float row_fraction, const std::uint32_t* left,
                       const std::uint32_t* right, const float* fraction, std::size_t pixels, std::size_t channels,
                       std::size_t stride, float* out) noexcept {
  const Floats row = Floats::set(row_fraction);
  if (channels == 1 && stride == 1) {
    for_lanes(pixels, [&](std::size_t x, auto part) {
      const std::size_t count = (std::min)(Floats::width, pixels - x);
      const Floats f = Floats::load(fraction + x, part);
      const Floats t = interpolate(f, collect(top, left + x, count), collect(top, right + x, count));
      const Floats u = interpolate(f, collect(bottom, left + x, count), collect(bottom, right + x, count));
      interpolate(row, t, u).store(out + x, part);
    });
    return;
  }
  for (std::size_t x = 0; x < pixels; ++x, out += stride) {
    const std::size_t l = left[x] * channels, r = right[x] * channels;
    const Floats f = Floats::set(fraction[x]);
    for_lanes(channels, [&](std::size_t c, auto part) {
      const Floats t = interpolate(f, Floats::load(top + l + c, part), Floats::load(top + r + c, part));
      const Floats u = interpolate(f, Floats::load(bottom + l + c, part), Floats::load(bottom + r + c, part));
      interpolate(row, t, u).store(out + c, part);
    });
  }
}
