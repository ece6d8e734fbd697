// SPDX-License-Identifier: Apache-2.0
// Binary convolution with one input channel per output channel.

/// A vector of words of the output, 32 channels each: pixels with their words follow each other.
struct DepthwiseWords {
  std::size_t input[Words::width], weight[Words::width];  // of each word, behind a tap's pixel and in its weights

  DepthwiseWords(const Depthwise<std::uint32_t>& d, std::size_t first) noexcept {
    const std::size_t last = d.pixels * d.depth - 1;
    for (std::size_t l = 0; l < Words::width; ++l) {
      const std::size_t word = (std::min)(first + l, last);  // words beyond the last repeat it
      weight[l] = word % d.depth;
      input[l] = word / d.depth * d.pixel_step + weight[l];
    }
  }
  /// The bits of a tap that differ.
  [[nodiscard]] Words differ(const Depthwise<std::uint32_t>& d, const Tap<std::uint32_t>& tap) const noexcept {
    alignas(64) std::uint32_t bits[Words::width];
    const std::uint32_t* const w = d.weights + tap.index * d.depth;
    for (std::size_t l = 0; l < Words::width; ++l) bits[l] = tap.pixel[input[l]] ^ w[weight[l]];
    return Words::load(bits);
  }
};

/// Counts as bit planes: plane j holds bit j of each channel's count, N planes hold them all. A tap's words ripple through as
/// carries.
template <std::size_t N>
inline void depthwise_vector(const Depthwise<std::uint32_t>& d, std::size_t first, std::size_t count,
                             std::int32_t* counts) noexcept {
  const DepthwiseWords words(d, first);
  Words plane[N];
  BIMTDP_UNROLL
  for (std::size_t j = 0; j < N; ++j) plane[j] = Words::set(0);
  for (std::size_t t = 0; t < d.tap_count; ++t) {
    Words carry = words.differ(d, d.taps[t]);
    BIMTDP_UNROLL
    for (std::size_t j = 0; j < N; ++j) {
      const Words old = plane[j];
      plane[j] = old ^ carry;
      carry = old & carry;
    }
  }
  alignas(64) std::uint32_t bits[N][Words::width];
  BIMTDP_UNROLL
  for (std::size_t j = 0; j < N; ++j) plane[j].store(bits[j]);
  for (std::size_t l = 0; l < count; ++l, counts += 32)
    for (std::size_t c = 0; c < 32; c += Ints::width) {
      Ints sum = Ints::set(0);
      for (std::size_t j = 0; j < N; ++j) {
        const Floats weight = as_floats(Ints::set(std::int32_t{1} << j));  // selected as bits, never computed with
        sum = sum + as_ints(select(mask_of(bits[j][l] >> c), weight, as_floats(Ints::set(0))));
      }
      sum.store(counts + c);
    }
}

inline void binary_depthwise(const Depthwise<std::uint32_t>& d, std::int32_t* counts) noexcept {
  const auto vector = d.tap_count < 16 ? depthwise_vector<4> : d.tap_count < 64 ? depthwise_vector<6> : depthwise_vector<17>;
  const std::size_t words = d.pixels * d.depth;
  for (std::size_t first = 0; first < words; first += Words::width)
    vector(d, first, (std::min)(Words::width, words - first), counts + 32 * first);
}
