// SPDX-License-Identifier: Apache-2.0
// Binary convolution in the integer registers: one output channel a block, 64 bits a popcount. Written for SSE4.2's popcnt.

/// Adds `depth` words of P pixels x V channels to the counts.
template <int P, int V>
inline void count_tap(const std::uint32_t* pixel, std::size_t step, const std::uint32_t* weights, std::size_t block_size,
                      std::size_t depth, std::uint64_t (&count)[P][V]) noexcept {
  std::size_t k = 0;
  for (; k + 2 <= depth; k += 2) {
    std::uint64_t x[P];
    BIMTDP_UNROLL
    for (int p = 0; p < P; ++p) x[p] = load_pair(pixel + static_cast<std::size_t>(p) * step + k);
    BIMTDP_UNROLL
    for (int v = 0; v < V; ++v) {
      const std::uint64_t weight = load_pair(weights + static_cast<std::size_t>(v) * block_size + k);
      BIMTDP_UNROLL
      for (int p = 0; p < P; ++p) count[p][v] += popcount(x[p] ^ weight);
    }
  }
  if (k == depth) return;
  BIMTDP_UNROLL
  for (int v = 0; v < V; ++v) {
    const std::uint32_t weight = weights[static_cast<std::size_t>(v) * block_size + k];
    BIMTDP_UNROLL
    for (int p = 0; p < P; ++p) count[p][v] += popcount(pixel[static_cast<std::size_t>(p) * step + k] ^ weight);
  }
}

template <int P, int V>
inline void count_tile(const Gemm<std::uint32_t>& g, std::size_t pixel, std::size_t block, std::int32_t* counts) noexcept {
  const std::size_t block_size = g.kernel_taps * g.depth;
  std::uint64_t count[P][V] = {};
  for (std::size_t t = 0; t < g.tap_count; ++t)
    count_tap<P, V>(g.taps[t].pixel + pixel * g.pixel_step, g.pixel_step,
                    g.weights + block * block_size + g.taps[t].index * g.depth, block_size, g.depth, count);
  for (std::size_t p = 0; p < P; ++p)
    for (std::size_t v = 0; v < V; ++v) counts[(pixel + p) * g.blocks + block + v] = static_cast<std::int32_t>(count[p][v]);
}

template <int V>
inline void count_block(const Gemm<std::uint32_t>& g, std::size_t block, std::int32_t* counts) noexcept {
  std::size_t p = 0;
  for (; p + 2 <= g.pixels; p += 2) count_tile<2, V>(g, p, block, counts);
  if (p < g.pixels) count_tile<1, V>(g, p, block, counts);
}

inline void binary_gemm(const Gemm<std::uint32_t>& g, std::int32_t* counts) noexcept {
  std::size_t block = 0;
  for (; block + 4 <= g.blocks; block += 4) count_block<4>(g, block, counts);
  for (; block < g.blocks; ++block) count_block<1>(g, block, counts);
}
