// SPDX-License-Identifier: Apache-2.0
// Pools, and binary convolution with one input channel per output channel: each channel for itself.

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

/// Counts of 32 channels as bit planes: plane j holds bit j of each channel's count. One word in, a ripple of carries, as far
/// as the number of taps so far can reach.
inline void count_word(const Depthwise<std::uint32_t>& d, std::size_t pixel, std::size_t k, std::uint32_t* plane) noexcept {
  for (std::size_t t = 0; t < d.tap_count; ++t) {
    std::uint32_t carry = d.taps[t].pixel[pixel * d.pixel_step + k] ^ d.weights[d.taps[t].index * d.depth + k];
    const auto reach = static_cast<int>(std::bit_width(t + 1));
    for (int j = 0; j < reach; ++j) {
      const std::uint32_t old = plane[j];
      plane[j] = old ^ carry;
      carry &= old;
    }
  }
}

inline void binary_depthwise(const Depthwise<std::uint32_t>& d, std::int32_t* counts) noexcept {
  constexpr std::size_t most_planes = 17;  // 2^16 taps
  const auto planes = static_cast<std::size_t>(std::bit_width(d.tap_count));
  for (std::size_t p = 0; p < d.pixels; ++p)
    for (std::size_t k = 0; k < d.depth; ++k, counts += 32) {
      std::uint32_t plane[most_planes] = {};
      count_word(d, p, k, plane);
      for (std::size_t c = 0; c < 32; c += Ints::width) {
        Ints sum = Ints::set(0);
        for (std::size_t j = 0; j < planes; ++j) {
          const Floats weight = as_floats(Ints::set(std::int32_t{1} << j));  // selected as bits, never computed with
          sum = sum + as_ints(select(mask_of(plane[j] >> c), weight, as_floats(Ints::set(0))));
        }
        sum.store(counts + c);
      }
    }
}
