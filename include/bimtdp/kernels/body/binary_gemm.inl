// SPDX-License-Identifier: Apache-2.0
// Binary convolution over packed rows: weights lie across the lanes, a pixel's word is broadcast, no horizontal sums.
//
// Carry-save adders let a popcount serve two or four 32-bit words. Words of long filters are stored as pairs (x0, x0 ^ x1), weights
// alike (x0 -> w0, W): then the sum of a pair and what is left of those before is ones ^ X ^ W, one operation less.
// Where popcount and ternary logic are instructions a pair takes five operations instead of six,
//   s = ones ^ X ^ W,  carry = majority(ones, x0 ^ w0, not s),  sum of popcounts = popcount(ones) + 2 sum of popcount(carry);
// where a popcount is a table look-up, four words go through three adders and only every fourth plane is counted,
//   sum of popcounts = popcount(ones) + 2 popcount(twos) + 4 sum of popcount(carries out of twos).
// Pairs against the peak of the plain loop: 1.07 on a Sapphire Rapids for long filters, 0.95 on a Zen 4, whose pipes do not share
// the five operations evenly (a tile of 36 pairs takes 2.9 cycles a pair, not 2.5; quads take 3.4). Below eight 64-bit words they
// are slower than the plain loop, because a pair takes two registers a pixel and the sums are put together once a tile.

/// One 64-bit word a step.
struct SingleCount {
  BitCount count;
  static constexpr std::size_t words = 1, capacity = BitCount::capacity / 2;
  static constexpr int pixels = TileShape::single_pixels;
  [[nodiscard]] static SingleCount zero() noexcept { return {BitCount::zero()}; }
  template <class Read>
  void add(Read read, const std::uint32_t* const (&x)[1], const Words (&w)[2]) noexcept {
    count.add(read.half(x[0]) ^ w[0]);
    count.add(read.half(x[0] + 1) ^ w[1]);
  }
  [[nodiscard]] Ints take() noexcept { return count.take(); }
};

/// One 64-bit word a step, its halves stored as (x0, x0 ^ x1).
struct PairCount {
  Words ones;
  BitCount twos;
  static constexpr std::size_t words = 1, capacity = BitCount::capacity;
  static constexpr int pixels = TileShape::pair_pixels;
  [[nodiscard]] static PairCount zero() noexcept { return {Words::set(0), BitCount::zero()}; }
  template <class Read>
  void add(Read read, const std::uint32_t* const (&x)[1], const Words (&w)[2]) noexcept {
    if constexpr (Read::same_for_all_lanes)
      twos.add(add_pair(ones, x[0], w[0], w[1]));
    else
      twos.add(add_pair(ones, read.half(x[0]), read.half(x[0] + 1), w[0], w[1]));
  }
  [[nodiscard]] Ints take() noexcept {
    BitCount one = BitCount::zero();
    one.add(ones);
    ones = Words::set(0);
    return shift_left<1>(twos.take()) + one.take();
  }
};

/// Two 64-bit words a step, stored as pairs; the last one may be single.
struct QuadCount {
  BitCount fours;
  Words ones, twos;
  static constexpr std::size_t words = 2, capacity = 2 * BitCount::capacity;
  static constexpr int pixels = TileShape::quad_pixels;
  [[nodiscard]] static QuadCount zero() noexcept { return {BitCount::zero(), Words::set(0), Words::set(0)}; }

  /// sum = sum + a + b bitwise; returns the carry.
  [[nodiscard]] static Words carry_save(Words& sum, Words a, Words b) noexcept {
    const Words differ = a ^ sum;
    const Words carry = (a & sum) | (differ & b);
    sum = differ ^ b;
    return carry;
  }
  template <class Read>
  void add(Read read, const std::uint32_t* const (&x)[2], const Words (&w)[4]) noexcept {
    const Words low = add_pair(ones, read.half(x[0]), read.half(x[0] + 1), w[0], w[1]);
    const Words high = add_pair(ones, read.half(x[1]), read.half(x[1] + 1), w[2], w[3]);
    fours.add(carry_save(twos, low, high));
  }
  template <class Read>
  void add(Read read, const std::uint32_t* const (&x)[1], const Words (&w)[2]) noexcept {
    const Words low = add_pair(ones, read.half(x[0]), read.half(x[0] + 1), w[0], w[1]);
    fours.add(twos & low);
    twos = twos ^ low;
  }
  [[nodiscard]] Ints take() noexcept {
    BitCount one = BitCount::zero(), two = BitCount::zero();
    one.add(ones), two.add(twos);
    ones = twos = Words::set(0);
    return one.take() + shift_left<1>(two.take()) + shift_left<2>(fours.take());
  }
};

/// Which pixel the lanes of a block read, and how many halves units lie apart: units are pixels,
struct OnePixel {
  static constexpr bool same_for_all_lanes = true;
  static constexpr std::size_t step = 2;
  [[nodiscard]] Words half(const std::uint32_t* x) const noexcept { return Words::set(*x); }
};
/// or several pixels, of which this block sees one
struct PixelOfUnit {
  static constexpr bool same_for_all_lanes = true;
  std::size_t step;
  [[nodiscard]] Words half(const std::uint32_t* x) const noexcept { return Words::set(*x); }
};
/// or two: from some lane on the next one.
struct TwoPixels {
  static constexpr bool same_for_all_lanes = false;
  std::size_t step;
  Split split;
  [[nodiscard]] Words half(const std::uint32_t* x) const noexcept { return Words::set_two(x, split); }
};

/// P units against one block.
template <class Count, class Read>
struct BinaryTile {
  const BinaryGemm& g;
  const std::uint32_t* weights;  // of the block
  std::size_t block, pixel;      // pixel: of a unit, the first that the block sees
  Read read;

  /// The xors and popcounts of words t to t + n - 1 of the list.
  template <int P, std::size_t n>
  void add(std::size_t t, std::size_t first, Count (&count)[P]) const noexcept {
    const std::uint32_t* x[n];
    Words weight[2 * n];
    BIMTDP_UNROLL
    for (std::size_t i = 0; i < n; ++i) {
      x[i] = g.words[t + i].pixels + first;
      const std::uint32_t* w = weights + g.words[t + i].index * 2 * Words::width;
      weight[2 * i] = Words::load(w);
      weight[2 * i + 1] = Words::load(w + Words::width);
    }
    BIMTDP_UNROLL
    for (int p = 0; p < P; ++p) {
      count[p].add(read, x, weight);
      BIMTDP_UNROLL
      for (std::size_t i = 0; i < n; ++i) x[i] += read.step;
    }
  }

  template <int P>
  void run(std::size_t unit, std::int32_t* counts) const noexcept {
    Count count[P];
    BIMTDP_UNROLL
    for (int p = 0; p < P; ++p) count[p] = Count::zero();
    if (g.target)
      for (std::size_t p = unit; p < unit + P; ++p) __builtin_prefetch(g.target + p * g.target_stride + block * Words::width, 1, 2);
    const std::size_t first = unit * read.step + 2 * pixel;
    counts += unit * g.stride + block * Words::width;
    if constexpr (Count::capacity > 255) {
      add_all<P>(0, g.count, first, count);
      BIMTDP_UNROLL
      for (int p = 0; p < P; ++p) count[p].take().store(counts + static_cast<std::size_t>(p) * g.stride);
    } else {
      Ints sum[P];
      BIMTDP_UNROLL
      for (int p = 0; p < P; ++p) sum[p] = Ints::set(0);
      for (std::size_t t = 0; t < g.count; t += Count::capacity) {  // the byte sums are emptied before they are full
        add_all<P>(t, (std::min)(g.count, t + Count::capacity), first, count);
        BIMTDP_UNROLL
        for (int p = 0; p < P; ++p) sum[p] = sum[p] + count[p].take();
      }
      BIMTDP_UNROLL
      for (int p = 0; p < P; ++p) sum[p].store(counts + static_cast<std::size_t>(p) * g.stride);
    }
  }
  template <int P>
  void add_all(std::size_t t, std::size_t end, std::size_t first, Count (&count)[P]) const noexcept {
    for (; t + Count::words <= end; t += Count::words) add<P, Count::words>(t, first, count);
    if constexpr (Count::words > 1)
      if (t < end) add<P, 1>(t, first, count);
  }

  /// All units, in tiles whose sizes differ by at most one.
  void run_all(std::int32_t* counts) const noexcept {
    using Run = void (BinaryTile::*)(std::size_t, std::int32_t*) const noexcept;
    static constexpr auto runs = []<std::size_t... P>(std::index_sequence<P...>) {
      return std::array<Run, sizeof...(P)>{&BinaryTile::template run<static_cast<int>(P) + 1>...};
    }
    (std::make_index_sequence<Count::pixels>{});
    std::size_t left = g.units;
    for (std::size_t tiles = (left + Count::pixels - 1) / Count::pixels; tiles > 0; --tiles) {
      const std::size_t units = (left + tiles - 1) / tiles;
      (this->*runs[units - 1])(g.units - left, counts);
      left -= units;
    }
  }
};

template <class Count>
inline void binary_blocks(const BinaryGemm& g, std::int32_t* counts) noexcept {
  std::size_t pixel = 0, used = 0;  // the block starts at this channel of this pixel of the unit
  for (std::size_t b = 0; b < g.blocks; ++b) {
    const std::uint32_t* weights = g.weights + b * g.filter_words * 2 * Words::width;
    if (g.unit_pixels == 1) {
      BinaryTile<Count, OnePixel>{g, weights, b, 0, {}}.run_all(counts);
      continue;
    }
    if constexpr (TileShape::splits) {
      const std::size_t step = 2 * g.unit_pixels;
      if (used + Words::width > g.channels)
        BinaryTile<Count, TwoPixels>{g, weights, b, pixel, {step, Split::at(g.channels - used)}}.run_all(counts);
      else
        BinaryTile<Count, PixelOfUnit>{g, weights, b, pixel, {step}}.run_all(counts);
      used += Words::width;
      if (used >= g.channels) used -= g.channels, ++pixel;
    }
  }
}

inline void binary_gemm(const BinaryGemm& g, std::int32_t* counts) noexcept {
  if (g.filter_words >= TileShape::pair_words) {
    if constexpr (TileShape::quad_pixels > 0) return binary_blocks<QuadCount>(g, counts);
    if constexpr (TileShape::pair_pixels > 0) return binary_blocks<PairCount>(g, counts);
  }
  binary_blocks<SingleCount>(g, counts);
}
