// SPDX-License-Identifier: Apache-2.0
// Float convolution over a run: weights lie across the lanes, activations are broadcast; each sum is one chain of fmas in
// the contract's order, and a tile keeps enough chains in flight to hide their latency.

struct FloatTile {
  static constexpr int pixels(int vectors) noexcept { return TileShape::float_pixels(vectors); }

  template <int P, int V>
  static void run(const Gemm<float>& g, std::size_t pixel, std::size_t block, float* out) noexcept {
    const std::size_t block_size = g.kernel_taps * g.depth * Floats::width;
    const float* weights = g.weights + block * block_size;
    out += (pixel * g.blocks + block) * Floats::width;
    Floats sum[P][V];
    BIMTDP_UNROLL
    for (int p = 0; p < P; ++p) {
      BIMTDP_UNROLL
      for (int v = 0; v < V; ++v) sum[p][v] = Floats::set(0.0f);
    }
    for (std::size_t t = 0; t < g.tap_count; ++t)
      tap<P, V>(g.taps[t].pixel + pixel * g.pixel_step, g.pixel_step, weights + g.taps[t].index * g.depth * Floats::width,
                block_size, g.depth, sum);
    BIMTDP_UNROLL
    for (int p = 0; p < P; ++p) {
      BIMTDP_UNROLL
      for (int v = 0; v < V; ++v)
        sum[p][v].store(out + (static_cast<std::size_t>(p) * g.blocks + static_cast<std::size_t>(v)) * Floats::width);
    }
  }

  template <int P, int V>
  static void tap(const float* pixel, std::size_t step, const float* weights, std::size_t block_size, std::size_t depth,
                  Floats (&sum)[P][V]) noexcept {
    const float* row[P];
    BIMTDP_UNROLL
    for (int p = 0; p < P; ++p) row[p] = pixel + static_cast<std::size_t>(p) * step;
    for (std::size_t k = 0; k < depth; ++k, weights += Floats::width) {
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
};

inline void float_gemm(const Gemm<float>& g, float* sums) noexcept { tile_blocks<FloatTile>(g, sums); }
