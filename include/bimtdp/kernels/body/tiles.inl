// SPDX-License-Identifier: Apache-2.0
// Cuts a convolution's run into register tiles of P pixels x V vectors of output channels.
//
// `Tile` gives pixels(V), the most pixels of a tile of V vectors, and run<P, V>(gemm, first pixel, first block, out).

/// All pixels of the run against V blocks, in tiles whose sizes differ by at most one.
template <class Tile, int V, class G, class T>
inline void tile_pixels(const G& g, std::size_t block, T* out) noexcept {
  constexpr int most = Tile::pixels(V);
  using Run = void (*)(const G&, std::size_t, std::size_t, T*) noexcept;
  static constexpr auto runs = []<std::size_t... P>(std::index_sequence<P...>) {
    return std::array<Run, sizeof...(P)>{&Tile::template run<static_cast<int>(P) + 1, V>...};
  }
  (std::make_index_sequence<most>{});
  std::size_t left = g.pixels;
  for (std::size_t tiles = (left + most - 1) / most; tiles > 0; --tiles) {
    const std::size_t pixels = (left + tiles - 1) / tiles;
    runs[pixels - 1](g, g.pixels - left, block, out);
    left -= pixels;
  }
}

/// Every block of the run. Short runs (the borders of a map) take more vectors at once, so that enough sums are in flight.
template <class Tile, class G, class T>
inline void tile_blocks(const G& g, T* out) noexcept {
  std::size_t block = 0;
  if (g.pixels <= static_cast<std::size_t>(Tile::pixels(4)))
    for (; block + 4 <= g.blocks; block += 4) tile_pixels<Tile, 4>(g, block, out);
  for (; block + 2 <= g.blocks; block += 2) tile_pixels<Tile, 2>(g, block, out);
  if (block < g.blocks) tile_pixels<Tile, 1>(g, block, out);
}
