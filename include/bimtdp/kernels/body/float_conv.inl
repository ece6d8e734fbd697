// SPDX-License-Identifier: Apache-2.0
// Float convolution: weights lie across the lanes, activations are broadcast; each sum is one chain of fmas in the contract's
// order, and a tile keeps enough chains in flight to hide their latency. A tile is finished while it is in L1. Where there are few
// output channels the pixels lie across the lanes instead.

/// Where the finished values of a tile go: its first pixel and channel.
struct TileOutput {
  float* out;
  const float* residual;  // or null
  std::size_t step;
};

/// The epilogue of `pixels` x `channels` sums; `first` is the index of their first channel.
template <ActivationKind kind>
inline void finish_tile_as(const float* sums, std::size_t stride, std::size_t pixels, std::size_t first, std::size_t channels,
                           const Epilogue& e, const TileOutput& to) noexcept {
  for_lanes(channels, [&](std::size_t i, auto part) {
    const ChannelParameters channel(e, first + i, part);
    const bool multiplies = e.alpha != nullptr, scales = e.scale != nullptr;
    for (std::size_t p = 0; p < pixels; ++p) {
      Floats y = Floats::load(sums + p * stride + i);
      if (multiplies) y = y * channel.alpha;
      y = scales ? fma(y, channel.scale, channel.bias) : y + channel.bias;
      if (to.residual) y = y + Floats::load(to.residual + p * to.step + i, part);
      activate<kind>(y, channel).store(to.out + p * to.step + i, part);
    }
  });
}

inline void finish_tile(const float* sums, std::size_t stride, std::size_t pixels, std::size_t first, std::size_t channels,
                        const Epilogue& e, const TileOutput& to) noexcept {
  using Kind = ActivationKind;
  using Finish =
      void (*)(const float*, std::size_t, std::size_t, std::size_t, std::size_t, const Epilogue&, const TileOutput&) noexcept;
  static constexpr Finish finish[] = {finish_tile_as<Kind::none>,     finish_tile_as<Kind::relu>,    finish_tile_as<Kind::relu6>,
                                      finish_tile_as<Kind::hardtanh>, finish_tile_as<Kind::sigmoid>, finish_tile_as<Kind::prelu>,
                                      finish_tile_as<Kind::rprelu>};
  finish[static_cast<std::size_t>(e.activation)](sums, stride, pixels, first, channels, e, to);
}

/// One tap of P pixels against V blocks.
template <int P, int V>
inline void conv_tap(const float* pixel, std::size_t step, const float* weights, std::size_t block_size, std::size_t length,
                     Floats (&sum)[P][V]) noexcept {
  const float* row[P];
  BIMTDP_UNROLL
  for (int p = 0; p < P; ++p) row[p] = pixel + static_cast<std::size_t>(p) * step;
  for (std::size_t k = 0; k < length; ++k, weights += Floats::width) {
    Floats weight[V];
    BIMTDP_UNROLL
    for (int v = 0; v < V; ++v) weight[v] = Floats::load(weights + static_cast<std::size_t>(v) * block_size);
    BIMTDP_UNROLL
    for (int p = 0; p < P; ++p) {
      const Floats x = Floats::set(row[p][k]);
      BIMTDP_UNROLL
      for (int v = 0; v < V; ++v) sum[p][v] = fma(x, weight[v], sum[p][v]);
    }
  }
}

/// The sums of P pixels, the first of them `offset` behind the taps, and V blocks, as [pixel][V][lane].
template <int P, int V>
inline void conv_tile(const Conv& g, std::size_t offset, const float* weights, std::size_t block_size, float* sums) noexcept {
  Floats sum[P][V];
  BIMTDP_UNROLL
  for (int p = 0; p < P; ++p) {
    BIMTDP_UNROLL
    for (int v = 0; v < V; ++v) sum[p][v] = Floats::set(0.0f);
  }
  for (const Tap<float>*tap = g.taps, *end = tap + g.tap_count; tap != end; ++tap)
    conv_tap<P, V>(tap->pixel + offset, g.pixel_step, weights + tap->index * g.depth * Floats::width, block_size, g.length, sum);
  BIMTDP_UNROLL
  for (int p = 0; p < P; ++p) {
    BIMTDP_UNROLL
    for (int v = 0; v < V; ++v) sum[p][v].store(sums + static_cast<std::size_t>(p * V + v) * Floats::width);
  }
}

/// One tap of V vectors of pixels for O output channels.
template <int O, int V>
inline void few_outputs_tap(const float* pixel, std::size_t step, const float* weights, std::size_t length,
                            Floats (&sum)[V][O]) noexcept {
  std::size_t k = 0;
  for (; k + 4 <= length; k += 4, weights += 4 * Floats::width) {
    BIMTDP_UNROLL
    for (int v = 0; v < V; ++v) {
      const float* first = pixel + static_cast<std::size_t>(v) * Floats::width * step + k;
      Floats x[4];
      BIMTDP_UNROLL
      for (std::size_t i = 0; i < 4; ++i) x[i] = Floats::load_quads(first + i * step, 4 * step);
      transpose4(x);
      BIMTDP_UNROLL
      for (std::size_t i = 0; i < 4; ++i) {
        BIMTDP_UNROLL
        for (int o = 0; o < O; ++o)
          sum[v][o] = fma(x[i], Floats::set(weights[i * Floats::width + static_cast<std::size_t>(o)]), sum[v][o]);
      }
    }
  }
  for (; k < length; ++k, weights += Floats::width) {
    BIMTDP_UNROLL
    for (int v = 0; v < V; ++v) {
      const Floats x = Floats::gather(pixel + static_cast<std::size_t>(v) * Floats::width * step + k, step);
      BIMTDP_UNROLL
      for (int o = 0; o < O; ++o) sum[v][o] = fma(x, Floats::set(weights[o]), sum[v][o]);
    }
  }
}

/// The sums of V vectors of pixels, the first pixel `offset` behind the taps, as [pixel][lane].
template <int O, int V>
inline void few_outputs_tile(const Conv& g, std::size_t offset, float* sums) noexcept {
  Floats sum[V][O];
  BIMTDP_UNROLL
  for (int v = 0; v < V; ++v) {
    BIMTDP_UNROLL
    for (int o = 0; o < O; ++o) sum[v][o] = Floats::set(0.0f);
  }
  for (const Tap<float>*tap = g.taps, *end = tap + g.tap_count; tap != end; ++tap)
    few_outputs_tap<O, V>(tap->pixel + offset, g.pixel_step, g.weights + tap->index * g.depth * Floats::width, g.length, sum);
  BIMTDP_UNROLL
  for (int v = 0; v < V; ++v) {
    BIMTDP_UNROLL
    for (int o = 0; o < O; ++o)
      sum[v][o].scatter(sums + static_cast<std::size_t>(v) * Floats::width * Floats::width + o, Floats::width);
  }
}

/// All pixels, a vector of them at least. The last tile begins early and leaves out what is done already.
template <int O>
inline void few_outputs(const Conv& g, const Epilogue& e, float* out) noexcept {
  constexpr std::size_t width = Floats::width;
  constexpr int vectors = O <= 2 ? 4 : 2;
  alignas(64) float sums[vectors * width * width];
  for (std::size_t row = 0; row < g.rows; ++row)
    for (std::size_t pixel = 0; pixel < g.pixels;) {
      const bool several = g.pixels - pixel >= vectors * width;
      const std::size_t first = (std::min)(pixel, g.pixels - width), end = several ? pixel + vectors * width : first + width;
      const auto tile = several ? few_outputs_tile<O, vectors> : few_outputs_tile<O, 1>;
      tile(g, row * g.row_step + first * g.pixel_step, sums);
      const std::size_t to = row * g.out_row_step + pixel * g.out_step;
      finish_tile(sums + (pixel - first) * width, width, end - pixel, 0, O, e,
                  {out + to, e.residual ? e.residual + to : nullptr, g.out_step});
      pixel = end;
    }
}

/// All pixels against V blocks from `block` on, in tiles whose sizes differ by at most one.
template <int V>
inline void conv_blocks(const Conv& g, std::size_t block, const Epilogue& e, float* out) noexcept {
  constexpr int most = TileShape::float_pixels(V);
  constexpr std::size_t stride = V * Floats::width;
  using Tile = void (*)(const Conv&, std::size_t, const float*, std::size_t, float*) noexcept;
  static constexpr auto tiles = []<std::size_t... P>(std::index_sequence<P...>) {
    return std::array<Tile, sizeof...(P)>{&conv_tile<static_cast<int>(P) + 1, V>...};
  }
  (std::make_index_sequence<most>{});
  alignas(64) float sums[most * stride];
  const std::size_t block_size = g.kernel_taps * g.depth * Floats::width, first = block * Floats::width;
  const float* const weights = g.weights + block * block_size;
  const std::size_t channels = (std::min)(stride, g.channels - first);
  for (std::size_t row = 0; row < g.rows; ++row) {
    std::size_t pixel = 0;
    for (std::size_t left = (g.pixels + most - 1) / most; left > 0; --left) {
      const std::size_t pixels = (g.pixels - pixel + left - 1) / left;
      const std::size_t to = row * g.out_row_step + pixel * g.out_step + first;
      tiles[pixels - 1](g, row * g.row_step + pixel * g.pixel_step, weights, block_size, sums);
      finish_tile(sums, stride, pixels, first, channels, e, {out + to, e.residual ? e.residual + to : nullptr, g.out_step});
      pixel += pixels;
    }
  }
}

inline void conv2d(const Conv& g, const Epilogue& e, float* out) noexcept {
  if (g.channels <= 3 && g.pixels >= Floats::width && g.pixel_step < (std::size_t{1} << 20)) {
    using FewOutputs = void (*)(const Conv&, const Epilogue&, float*) noexcept;
    static constexpr FewOutputs run[] = {few_outputs<1>, few_outputs<2>, few_outputs<3>};
    return run[g.channels - 1](g, e, out);
  }
  const std::size_t blocks = (g.channels + Floats::width - 1) / Floats::width;
  std::size_t block = 0;
  // Few pixels (the borders of a map) take more blocks at once, so that enough sums are in flight.
  if (g.pixels <= static_cast<std::size_t>(TileShape::float_pixels(4)))
    for (; block + 4 <= blocks; block += 4) conv_blocks<4>(g, block, e, out);
  if ((blocks - block) % 2 == 1 && blocks - block > 1) conv_blocks<3>(g, block, e, out), block += 3;
  for (; block + 2 <= blocks; block += 2) conv_blocks<2>(g, block, e, out);
  if (block < blocks) conv_blocks<1>(g, block, e, out);
}
