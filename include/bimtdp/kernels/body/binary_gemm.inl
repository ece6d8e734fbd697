// SPDX-License-Identifier: Apache-2.0
// Binary convolution over a run: weights lie across the lanes, activations are broadcast, no horizontal sums.
//
// Where a popcount is dear, four words a step go through carry-save adders first: only every fourth plane is counted,
//   sum of popcounts = popcount(ones) + 2 popcount(twos) + 4 sum of popcount(carries out of twos).

/// One word a step.
struct SingleCount {
  BitCount count;
  static constexpr std::size_t words = 1, capacity = BitCount::capacity;
  [[nodiscard]] static SingleCount zero() noexcept { return {BitCount::zero()}; }
  [[nodiscard]] static constexpr int pixels(int vectors) noexcept { return TileShape::binary_pixels(vectors); }
  void add(const Words (&x)[1]) noexcept { count.add(x[0]); }
  [[nodiscard]] Ints take() noexcept { return count.take(); }
};

/// Four words a step.
struct QuadCount {
  BitCount fours;
  Words ones, twos;
  static constexpr std::size_t words = 4, capacity = 4 * BitCount::capacity;
  [[nodiscard]] static QuadCount zero() noexcept { return {BitCount::zero(), Words::set(0), Words::set(0)}; }
  [[nodiscard]] static constexpr int pixels(int vectors) noexcept { return TileShape::quad_pixels(vectors); }

  /// sum = sum + a + b bitwise; returns the carry.
  [[nodiscard]] static Words carry_save(Words& sum, Words a, Words b) noexcept {
    const Words differ = a ^ sum;
    const Words carry = (a & sum) | (differ & b);
    sum = differ ^ b;
    return carry;
  }
  void add(const Words (&x)[4]) noexcept {
    const Words low = carry_save(ones, x[0], x[1]);
    const Words high = carry_save(ones, x[2], x[3]);
    fours.add(carry_save(twos, low, high));
  }
  [[nodiscard]] Ints take() noexcept {
    BitCount one = BitCount::zero(), two = BitCount::zero();
    one.add(ones), two.add(twos);
    ones = twos = Words::set(0);
    return one.take() + shift_left<1>(two.take()) + shift_left<2>(fours.take());
  }
};

template <class Count>
struct BinaryTile {
  static constexpr int pixels(int vectors) noexcept { return Count::pixels(vectors); }

  /// The xors and popcounts of `depth` words of one tap; word k of vector v is at weights + v*block_size + k*lanes.
  template <int P, int V>
  static void tap(const std::uint32_t* pixel, std::size_t step, const std::uint32_t* weights, std::size_t block_size,
                  std::size_t depth, Count (&count)[P][V]) noexcept {
    constexpr std::size_t n = Count::words;
    const std::uint32_t* row[P];
    BIMTDP_UNROLL
    for (int p = 0; p < P; ++p) row[p] = pixel + static_cast<std::size_t>(p) * step;
    for (std::size_t k = 0; k < depth; k += n, weights += n * Words::width) {
      Words weight[V][n];
      BIMTDP_UNROLL
      for (int v = 0; v < V; ++v) {
        BIMTDP_UNROLL
        for (std::size_t i = 0; i < n; ++i)
          weight[v][i] = Words::load(weights + static_cast<std::size_t>(v) * block_size + i * Words::width);
      }
      BIMTDP_UNROLL
      for (int p = 0; p < P; ++p) {
        Words x[n];
        BIMTDP_UNROLL
        for (std::size_t i = 0; i < n; ++i) x[i] = Words::set(row[p][k + i]);
        BIMTDP_UNROLL
        for (int v = 0; v < V; ++v) {
          Words differ[n];
          BIMTDP_UNROLL
          for (std::size_t i = 0; i < n; ++i) differ[i] = x[i] ^ weight[v][i];
          count[p][v].add(differ);
        }
      }
    }
  }

  template <int P, int V>
  static void run(const Gemm<std::uint32_t>& g, std::size_t pixel, std::size_t block, std::int32_t* out) noexcept {
    const std::size_t block_size = g.kernel_taps * g.depth * Words::width;
    const std::uint32_t* weights = g.weights + block * block_size;
    Count count[P][V];
    Ints sum[P][V];
    BIMTDP_UNROLL
    for (int p = 0; p < P; ++p) {
      BIMTDP_UNROLL
      for (int v = 0; v < V; ++v) count[p][v] = Count::zero(), sum[p][v] = Ints::set(0);
    }
    std::size_t room = Count::capacity;
    for (std::size_t t = 0; t < g.tap_count; ++t) {
      const std::uint32_t* x = g.taps[t].pixel + pixel * g.pixel_step;
      const std::uint32_t* w = weights + g.taps[t].index * g.depth * Words::width;
      if constexpr (Count::capacity > 255) {
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
      for (int v = 0; v < V; ++v)
        sum[p][v].store(out + (static_cast<std::size_t>(p) * g.blocks + static_cast<std::size_t>(v)) * Words::width);
    }
  }

  /// The same as tap, moving the counts to the sums before they are full; `room` is the number of words they still take.
  template <int P, int V>
  static void tap_in_pieces(const std::uint32_t* x, std::size_t step, const std::uint32_t* w, std::size_t block_size,
                            std::size_t depth, Count (&count)[P][V], Ints (&sum)[P][V], std::size_t& room) noexcept {
    for (std::size_t k = 0; k < depth;) {
      const std::size_t words = std::min(depth - k, room);
      tap<P, V>(x + k, step, w + k * Words::width, block_size, words, count);
      k += words;
      room -= words;
      if (room > 0) continue;
      take<P, V>(count, sum);
      room = Count::capacity;
    }
  }

  template <int P, int V>
  static void take(Count (&count)[P][V], Ints (&sum)[P][V]) noexcept {
    BIMTDP_UNROLL
    for (int p = 0; p < P; ++p) {
      BIMTDP_UNROLL
      for (int v = 0; v < V; ++v) sum[p][v] = sum[p][v] + count[p][v].take();
    }
  }
};

inline void binary_gemm(const Gemm<std::uint32_t>& g, std::int32_t* counts) noexcept {
  constexpr std::size_t worth_it = 32;  // words; the adders are emptied once a tile
  if constexpr (TileShape::quad_pixels(1) > 0)
    if (g.depth % QuadCount::words == 0 && g.tap_count * g.depth >= worth_it) return tile_blocks<BinaryTile<QuadCount>>(g, counts);
  tile_blocks<BinaryTile<SingleCount>>(g, counts);
}
