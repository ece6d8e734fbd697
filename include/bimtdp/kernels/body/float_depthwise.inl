// SPDX-License-Identifier: Apache-2.0
// Float convolution with one input channel per output channel: channels lie across the lanes.

/// How pixels share their inputs: a tap reads `neighbours` pixels and output pixels lie `stride` of those apart; 0: in any way.
struct Sharing {
  std::size_t neighbours = 0, stride = 0;
};

/// Sums of P pixels, one vector of channels from `c` on. An input vector is loaded once and meets every sum that it belongs to.
template <int P, Sharing share, class Lanes>
inline void depthwise_shared(const Conv& g, std::size_t offset, std::size_t c, Lanes part, Floats (&sum)[P]) noexcept {
  constexpr auto N = static_cast<int>(share.neighbours), S = static_cast<int>(share.stride);
  for (const Tap<float>*tap = g.taps, *end = tap + g.tap_count; tap != end; ++tap) {
    const float* const w = g.weights + tap->index * g.depth + c;
    const float* x = tap->pixel + offset + c;
    Floats weight[N];
    BIMTDP_UNROLL
    for (int n = 0; n < N; ++n) weight[n] = Floats::load(w + static_cast<std::size_t>(n) * g.depth, part);
    BIMTDP_UNROLL
    for (int i = 0; i < (P - 1) * S + N; ++i, x += g.depth) {
      const Floats value = Floats::load(x, part);
      BIMTDP_UNROLL
      for (int n = 0; n < N; ++n) {
        const int p = (i - n) / S;
        if (i >= n && (i - n) % S == 0 && p < P) sum[p] = fma(value, weight[n], sum[p]);
      }
    }
  }
}

/// The same for taps and pixels that share nothing.
template <int P, class Lanes>
inline void depthwise_any(const Conv& g, std::size_t offset, std::size_t c, Lanes part, Floats (&sum)[P]) noexcept {
  for (const Tap<float>*tap = g.taps, *end = tap + g.tap_count; tap != end; ++tap) {
    const float* w = g.weights + tap->index * g.depth + c;
    for (std::size_t at = 0; at < g.length; at += g.depth, w += g.depth) {
      const Floats weight = Floats::load(w, part);
      const float* x = tap->pixel + offset + c + at;
      BIMTDP_UNROLL
      for (int p = 0; p < P; ++p, x += g.pixel_step) sum[p] = fma(Floats::load(x, part), weight, sum[p]);
    }
  }
}

/// The sums of P pixels and `channels` channels from `first` on, pixels `stride` apart.
template <int P, Sharing share>
inline void depthwise_tile(const Conv& g, std::size_t offset, std::size_t first, std::size_t channels, float* sums,
                           std::size_t stride) noexcept {
  for_lanes(channels, [&](std::size_t i, auto part) {
    Floats sum[P];
    BIMTDP_UNROLL
    for (int p = 0; p < P; ++p) sum[p] = Floats::set(0.0f);
    if constexpr (share.neighbours == 0) {
      depthwise_any<P>(g, offset, first + i, part, sum);
    } else {
      depthwise_shared<P, share>(g, offset, first + i, part, sum);
    }
    BIMTDP_UNROLL
    for (int p = 0; p < P; ++p) sum[p].store(sums + static_cast<std::size_t>(p) * stride + i);
  });
}

template <Sharing share>
inline void depthwise_rows(const Conv& g, const Epilogue& e, float* out) noexcept {
  constexpr std::size_t most = 8, stride = 64;  // pixels and channels of a tile
  alignas(64) float sums[most * stride];
  for (std::size_t row = 0; row < g.rows; ++row)
    for (std::size_t pixel = 0, pixels = 0; pixel < g.pixels; pixel += pixels) {
      pixels = std::min(most, std::bit_floor(g.pixels - pixel));
      const std::size_t offset = row * g.row_step + pixel * g.pixel_step, at = row * g.out_row_step + pixel * g.out_step;
      for (std::size_t first = 0; first < g.channels; first += stride) {
        const std::size_t channels = std::min(stride, g.channels - first), to = at + first;
        switch (pixels) {
          case 8:
            depthwise_tile<8, share>(g, offset, first, channels, sums, stride);
            break;
          case 4:
            depthwise_tile<4, share>(g, offset, first, channels, sums, stride);
            break;
          case 2:
            depthwise_tile<2, share>(g, offset, first, channels, sums, stride);
            break;
          default:
            depthwise_tile<1, share>(g, offset, first, channels, sums, stride);
        }
        finish_tile(sums, stride, pixels, first, channels, e, {out + to, e.residual ? e.residual + to : nullptr, g.out_step});
      }
    }
}

inline void depthwise_conv2d(const Conv& g, const Epilogue& e, float* out) noexcept {
  const std::size_t neighbours = g.length / g.depth, stride = g.pixel_step % g.depth == 0 ? g.pixel_step / g.depth : 0;
  if (neighbours == 3 && stride == 1) return depthwise_rows<Sharing{3, 1}>(g, e, out);
  if (neighbours == 3 && stride == 2) return depthwise_rows<Sharing{3, 2}>(g, e, out);
  if (neighbours == 5 && stride == 1) return depthwise_rows<Sharing{5, 1}>(g, e, out);
  if (neighbours == 5 && stride == 2) return depthwise_rows<Sharing{5, 2}>(g, e, out);
  depthwise_rows<Sharing{}>(g, e, out);
}
