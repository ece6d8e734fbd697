// SPDX-License-Identifier: Apache-2.0
// Pools, and the sums of the global average: each channel for itself.

inline void max_pool(const Depthwise<float>& d, float* out) noexcept {
  for (std::size_t p = 0; p < d.pixels; ++p)
    for_lanes(d.depth, [&](std::size_t c, auto part) {
      Floats m = Floats::load(d.taps[0].pixel + p * d.pixel_step + c, part);
      for (std::size_t t = 1; t < d.tap_count; ++t) {
        const Floats x = Floats::load(d.taps[t].pixel + p * d.pixel_step + c, part);
        m = select(greater(x, m) | is_nan(x), x, m);
      }
      m.store(out + p * d.depth + c, part);
    });
}

inline void average_pool(const Depthwise<float>& d, float divisor, float* out) noexcept {
  const Floats count = Floats::set(divisor);
  for (std::size_t p = 0; p < d.pixels; ++p)
    for_lanes(d.depth, [&](std::size_t c, auto part) {
      Floats sum = Floats::set(0.0f);
      for (std::size_t t = 0; t < d.tap_count; ++t) sum = sum + Floats::load(d.taps[t].pixel + p * d.pixel_step + c, part);
      (sum / count).store(out + p * d.depth + c, part);
    });
}

/// The inner loops have a constant length, so that every compiler makes vectors of them.
inline void sum_channels(const float* x, std::size_t stride, std::size_t pixels, std::size_t channels, double* sums) noexcept {
  constexpr std::size_t together = 16;
  std::size_t c = 0;
  for (; c + together <= channels; c += together)
    for (std::size_t p = 0; p < pixels; ++p)
      for (std::size_t i = 0; i < together; ++i) sums[c + i] += static_cast<double>(x[p * stride + c + i]);
  for (; c < channels; ++c)
    for (std::size_t p = 0; p < pixels; ++p) sums[c] += static_cast<double>(x[p * stride + c]);
}
