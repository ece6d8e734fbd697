// SPDX-License-Identifier: Apache-2.0
// Binary convolution over a run: weights lie across the lanes, activations are broadcast, no horizontal sums.

struct BinaryTile {
  static constexpr int pixels(int vectors) noexcept { return TileShape::binary_pixels(vectors); }

  /// The xors and popcounts of `depth` words of one tap; word k of vector v is at weights + v*block_size + k*lanes.
  template <int P, int V>
  static void tap(const std::uint32_t* pixel, std::size_t step, const std::uint32_t* weights, std::size_t block_size,
                  std::size_t depth, BitCount (&count)[P][V]) noexcept {
    const std::uint32_t* row[P];
    BIMTDP_UNROLL
    for (int p = 0; p < P; ++p) row[p] = pixel + static_cast<std::size_t>(p) * step;
    for (std::size_t k = 0; k < depth; ++k, weights += Words::width) {
      Words weight[V];
      BIMTDP_UNROLL
      for (int v = 0; v < V; ++v) weight[v] = Words::load(weights + static_cast<std::size_t>(v) * block_size);
      BIMTDP_UNROLL
      for (int p = 0; p < P; ++p) {
        const Words x = Words::set(row[p][k]);
        BIMTDP_UNROLL
        for (int v = 0; v < V; ++v) count[p][v].add(x ^ weight[v]);
      }
    }
  }

  template <int P, int V>
  static void run(const Gemm<std::uint32_t>& g, std::size_t pixel, std::size_t block, std::int32_t* out) noexcept {
    const std::size_t block_size = g.kernel_taps * g.depth * Words::width;
    const std::uint32_t* weights = g.weights + block * block_size;
    BitCount count[P][V];
    Ints sum[P][V];
    BIMTDP_UNROLL
    for (int p = 0; p < P; ++p) {
      BIMTDP_UNROLL
      for (int v = 0; v < V; ++v) count[p][v] = BitCount::zero(), sum[p][v] = Ints::set(0);
    }
    std::size_t room = BitCount::capacity;
    for (std::size_t t = 0; t < g.tap_count; ++t) {
      const std::uint32_t* x = g.taps[t].pixel + pixel * g.pixel_step;
      const std::uint32_t* w = weights + g.taps[t].index * g.depth * Words::width;
      if constexpr (BitCount::capacity > 255) {
        tap<P, V>(x, g.pixel_step, w, block_size, g.depth, count);
      } else {
        tap_in_pieces<P, V>(x, g.pixel_step, w, block_size, g.depth, count, sum, room);
      }
    }
    take<P, V>(count, sum);
    out += (pixel * g.blocks + block) * Words::width;
    BIMTDP_UNROLL
    for (int p = 0; p < P; ++p) {
      BIMTDP_UNROLL
      for (int v = 0; v < V; ++v) sum[p][v].store(out + (static_cast<std::size_t>(p) * g.blocks + static_cast<std::size_t>(v)) * Words::width);
    }
  }

  /// The same as tap, moving the counts to the sums before they are full; `room` is the number of words they still take.
  template <int P, int V>
  static void tap_in_pieces(const std::uint32_t* x, std::size_t step, const std::uint32_t* w, std::size_t block_size, std::size_t depth,
                            BitCount (&count)[P][V], Ints (&sum)[P][V], std::size_t& room) noexcept {
    for (std::size_t k = 0; k < depth;) {
      const std::size_t words = std::min(depth - k, room);
      tap<P, V>(x + k, step, w + k * Words::width, block_size, words, count);
      k += words;
      room -= words;
      if (room > 0) continue;
      take<P, V>(count, sum);
      room = BitCount::capacity;
    }
  }

  template <int P, int V>
  static void take(BitCount (&count)[P][V], Ints (&sum)[P][V]) noexcept {
    BIMTDP_UNROLL
    for (int p = 0; p < P; ++p) {
      BIMTDP_UNROLL
      for (int v = 0; v < V; ++v) sum[p][v] = sum[p][v] + count[p][v].take();
    }
  }
};

inline void binary_gemm(const Gemm<std::uint32_t>& g, std::int32_t* counts) noexcept { tile_blocks<BinaryTile>(g, counts); }
