// SPDX-License-Identifier: Apache-2.0
// Float convolution with one input channel per output channel: channels lie across the lanes.

/// How pixels share their inputs: a tap reads `neighbours` pixels and output pixels lie `stride` of those apart; 0: in any way.
struct Sharing {
  std::size_t neighbours = 0, stride = 0;
};

/// Sums of P pixels, one vector of channels from `c` on. An input vector is loaded once and meets every sum that it belongs to.
template <int P, Sharing share, class Lanes>
inline void depthwise_shared(const Conv& g, std::size_t offset, std::size_t c, Lanes part, Floats (&sum)[P][1]) noexcept {
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
        if (i >= n && (i - n) % S == 0 && p < P) sum[p][0] = fma(value, weight[n], sum[p][0]);
      }
    }
  }
}

/// The same for taps and pixels that share nothing, V vectors of channels.
template <int P, int V, class Lanes>
inline void depthwise_any(const Conv& g, std::size_t offset, std::size_t c, Lanes part, Floats (&sum)[P][V]) noexcept {
  for (const Tap<float>*tap = g.taps, *end = tap + g.tap_count; tap != end; ++tap) {
    const float* w = g.weights + tap->index * g.depth + c;
    for (std::size_t at = 0; at < g.length; at += g.depth, w += g.depth) {
      const float* x = tap->pixel + offset + c + at;
      Floats weight[V];
      BIMTDP_UNROLL
      for (int v = 0; v < V; ++v) weight[v] = Floats::load(w + static_cast<std::size_t>(v) * Floats::width, part);
      BIMTDP_UNROLL
      for (int p = 0; p < P; ++p, x += g.pixel_step) {
        BIMTDP_UNROLL
        for (int v = 0; v < V; ++v)
          sum[p][v] = fma(Floats::load(x + static_cast<std::size_t>(v) * Floats::width, part), weight[v], sum[p][v]);
      }
    }
  }
}

/// The sums of P pixels and V vectors of channels from `c` on, pixels `stride` apart.
template <int P, int V, Sharing share, class Lanes>
inline void depthwise_vectors(const Conv& g, std::size_t offset, std::size_t c, Lanes part, float* sums,
                              std::size_t stride) noexcept {
  Floats sum[P][V];
  BIMTDP_UNROLL
  for (int p = 0; p < P; ++p) {
    BIMTDP_UNROLL
    for (int v = 0; v < V; ++v) sum[p][v] = Floats::set(0.0f);
  }
  if constexpr (share.neighbours == 0) {
    depthwise_any<P, V>(g, offset, c, part, sum);
  } else {
    depthwise_shared<P, share>(g, offset, c, part, sum);
  }
  BIMTDP_UNROLL
  for (int p = 0; p < P; ++p) {
    BIMTDP_UNROLL
    for (int v = 0; v < V; ++v)
      sum[p][v].store(sums + static_cast<std::size_t>(p) * stride + static_cast<std::size_t>(v) * Floats::width);
  }
}

/// The sums of P pixels and `channels` channels from `first` on. Few pixels take four vectors at once, so that enough sums are in
/// flight.
template <int P, Sharing share>
inline void depthwise_tile(const Conv& g, std::size_t offset, std::size_t first, std::size_t channels, float* sums,
                           std::size_t stride) noexcept {
  std::size_t done = 0;
  if constexpr (4 * P <= Floats::width && share.neighbours == 0)
    for (constexpr std::size_t four = 4 * Floats::width; done + four <= channels; done += four)
      depthwise_vectors<P, 4, share>(g, offset, first + done, Whole{}, sums + done, stride);
  for_lanes(channels - done, [&](std::size_t i, auto part) {
    depthwise_vectors<P, 1, share>(g, offset, first + done + i, part, sums + done + i, stride);
  });
}

template <Sharing share>
inline void depthwise_rows(const Conv& g, const Epilogue& e, float* out) noexcept {
  constexpr std::size_t most = share.stride == 2 ? Floats::width / 2 : Floats::width, stride = 64;  // pixels, channels of a tile
  using Tile = void (*)(const Conv&, std::size_t, std::size_t, std::size_t, float*, std::size_t) noexcept;
  static constexpr auto tiles = []<std::size_t... Index>(std::index_sequence<Index...>) {
    return std::array<Tile, sizeof...(Index)>{&depthwise_tile<1 << Index, share>...};
  }
  (std::make_index_sequence<std::bit_width(most)>{});
  alignas(64) float sums[most * stride];
  // Few channels at a time, so that the rows under the window stay in the L1 cache from one output row to the next.
  for (std::size_t first = 0; first < g.channels; first += stride) {
    const std::size_t channels = (std::min)(stride, g.channels - first);
    for (std::size_t row = 0; row < g.rows; ++row)
      for (std::size_t pixel = 0, pixels = 0; pixel < g.pixels; pixel += pixels) {
        pixels = (std::min)(most, std::bit_floor(g.pixels - pixel));
        const std::size_t to = row * g.out_row_step + pixel * g.out_step + first;
        tiles[static_cast<std::size_t>(std::bit_width(pixels)) - 1](g, row * g.row_step + pixel * g.pixel_step, first, channels,
                                                                    sums, stride);
        finish_tile(sums, stride, pixels, first, channels, e, {out + to, e.residual ? e.residual + to : nullptr, g.out_step});
      }
  }
}

inline void depthwise_conv2d(const Conv& g, const Epilogue& e, float* out) noexcept {
  const std::size_t neighbours = g.length / g.depth, stride = g.pixel_step % g.depth == 0 ? g.pixel_step / g.depth : 0;
  if (g.pixels < Floats::width / 2) return depthwise_rows<Sharing{}>(g, e, out);
  if (neighbours == 3 && stride == 1) return depthwise_rows<Sharing{3, 1}>(g, e, out);
  if (neighbours == 3 && stride == 2) return depthwise_rows<Sharing{3, 2}>(g, e, out);
  if (neighbours == 5 && stride == 1) return depthwise_rows<Sharing{5, 1}>(g, e, out);
  if (neighbours == 5 && stride == 2) return depthwise_rows<Sharing{5, 2}>(g, e, out);
  depthwise_rows<Sharing{}>(g, e, out);
}
