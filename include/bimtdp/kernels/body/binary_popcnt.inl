// SPDX-License-Identifier: Apache-2.0
// Binary convolution in the integer registers: one output channel a block, 64 bits a popcount. Written for SSE4.2's popcnt.

template <int P, int V>
inline void count_tile(const BinaryGemm& g, std::size_t pixel, std::size_t block, std::int32_t* counts) noexcept {
  std::uint64_t count[P][V] = {};
  const std::uint32_t* weights = g.weights + block * g.filter_words * 2;
  for (std::size_t i = 0; i < g.count; ++i) {
    const std::uint32_t* x = g.words[i].pixels + 2 * pixel;
    BIMTDP_UNROLL
    for (int v = 0; v < V; ++v) {
      const std::uint64_t weight = load_pair(weights + (static_cast<std::size_t>(v) * g.filter_words + g.words[i].index) * 2);
      BIMTDP_UNROLL
      for (int p = 0; p < P; ++p) count[p][v] += popcount(load_pair(x + 2 * p) ^ weight);
    }
  }
  for (std::size_t p = 0; p < P; ++p)
    for (std::size_t v = 0; v < V; ++v) counts[(pixel + p) * g.stride + block + v] = static_cast<std::int32_t>(count[p][v]);
}

template <int V>
inline void count_block(const BinaryGemm& g, std::size_t block, std::int32_t* counts) noexcept {
  std::size_t p = 0;
  for (; p + 2 <= g.units; p += 2) count_tile<2, V>(g, p, block, counts);
  if (p < g.units) count_tile<1, V>(g, p, block, counts);
}

inline void binary_gemm(const BinaryGemm& g, std::int32_t* counts) noexcept {
  std::size_t block = 0;
  for (; block + 4 <= g.blocks; block += 4) count_block<4>(g, block, counts);
  for (; block < g.blocks; ++block) count_block<1>(g, block, counts);
}
