// SPDX-License-Identifier: Apache-2.0
// KernelTable: one function pointer per kernel, and the contract of each. Every tier fills the same table;
// reference.hpp fills it with plain C++, and all tables give the same bits for the same arguments.
//
// Vocabulary. A *tap* is one position of a window. A *stretch* is output pixels of one row, side by side, that see the same
// taps inside the image; padding is exact because taps outside are not in the list. A *block* is `lanes` output channels.
// Bits: 1 means +1, 0 means -1; unused high bits of a pixel's last word (tail bits) are 0 in activations and weights.
// Floats: sums run in the order written here, from +0.0f, one fused multiply-add a term; nothing else is contracted.
#pragma once

#include <bimtdp/core/aligned.hpp>

#include <cstddef>
#include <cstdint>

namespace bimtdp::kernels {

/// Lanes of the widest vector of any tier. Every tier's number of lanes divides it.
inline constexpr std::size_t most_lanes = alignment / sizeof(float);

/// binary_gemm computes tiles of up to 12 units on one tier and 8 on another: a stretch of so many is whole tiles on all.
inline constexpr std::size_t tile_step = 24;
[[nodiscard]] constexpr bool whole_tiles(int units) noexcept {
  return units == 0 || tile_step % static_cast<std::size_t>(units) == 0;
}

/// Pixels behind a stretch whose words binary_gemm may read, in whole cache lines of 64-bit words: those of a last unit that the
/// stretch does not fill, and four more.
inline constexpr std::size_t unit_slack = 4;
inline constexpr std::size_t pixel_slack = round_up(most_lanes - 1 + unit_slack, alignment / sizeof(std::uint64_t));

/// One tap of a stretch: the input pixel under it for the stretch's first output pixel, and its index ky*kernel_width + kx.
template <class T>
struct Tap {
  const T* pixel = nullptr;
  std::size_t index = 0;
};

/// Bits first to first + bits - 1 of neighbouring pixels, 0 < bits <= 64 - first, first < 32, to bit `shift` < 64 and up of their
/// words; words are two halves each, stored as pairs where `pairs`. Bits that do not fit go to the words `high`.
struct JoinBits {
  const std::uint32_t* pixels = nullptr;
  std::size_t step = 0;  ///< 32-bit words between pixels
  std::size_t count = 0;
  std::size_t first = 0, bits = 0, shift = 0;
  bool pairs = false;
  std::uint32_t* low = nullptr;   ///< xor-ed with the bits
  std::uint32_t* high = nullptr;  ///< set to the bits; only where shift + bits > 64
};

/// One 64-bit word of a filter and what meets it: halves pixels[2p] and pixels[2p + 1] belong to output pixel p of the stretch.
struct PackedWord {
  const std::uint32_t* pixels = nullptr;
  std::size_t index = 0;  ///< among the filter's words
};

/// A binary convolution over one stretch of packed rows. Weights lie as [block][word index][half][lane] of table.binary_lanes
/// channels; in words and weights alike the upper half of a word holds x0 ^ x1 where stored_as_pairs() says so, else x1. A *unit*
/// is one pixel or several neighbouring ones whose channels fill whole blocks together: lane l of block b is channel i % channels
/// of the unit's pixel i / channels, i = b*lanes + l. A unit of several pixels needs table.binary_splits and channels >= lanes, and
/// words that are readable up to unit_slack pixels behind its end.
struct BinaryGemm {
  const PackedWord* words = nullptr;
  std::size_t count = 0;         ///< words that the stretch sees (may be 0)
  std::size_t filter_words = 0;  ///< all words of a filter: stride of the weights
  const std::uint32_t* weights = nullptr;
  std::size_t blocks = 0;  ///< of a unit
  std::size_t units = 0;   ///< length of the stretch
  std::size_t unit_pixels = 1;
  std::size_t channels = 0;       ///< of a pixel
  std::size_t stride = 0;         ///< counts between units
  const float* target = nullptr;  ///< where the finished floats will be written, or null: fetched into the cache meanwhile
  std::size_t target_stride = 0;  ///< floats between units there
};

/// A convolution with one input channel per output channel. Weights lie as [tap index][k]; k counts words (binary)
/// or channels (float).
template <class T>
struct Depthwise {
  const Tap<T>* taps = nullptr;
  std::size_t tap_count = 0;
  std::size_t depth = 0;
  std::size_t pixel_step = 0;
  std::size_t pixels = 0;
  const T* weights = nullptr;
};

/// A float convolution over a rectangle of output pixels that see the same taps inside the image. Taps whose pixels and indices
/// follow each other are one tap of several times `depth` channels.
/// Dense weights lie as [block][tap index][k][lane], blocks of table.float_lanes output channels; channels beyond the last are
/// zero weights. Depthwise weights lie as [tap index][channel].
struct Conv {
  const Tap<float>* taps = nullptr;
  std::size_t tap_count = 0;    ///< taps inside the image (may be 0)
  std::size_t length = 0;       ///< channels that a tap reads from its pixel on, a multiple of depth
  std::size_t kernel_taps = 0;  ///< all taps of the window
  std::size_t depth = 0;        ///< input channels of one tap index
  const float* weights = nullptr;
  std::size_t channels = 0;  ///< output channels
  /// Output pixel (row, p) reads tap.pixel + row*row_step + p*pixel_step and is written to out + row*out_row_step + p*out_step.
  std::size_t pixels = 0, pixel_step = 0, out_step = 0;
  std::size_t rows = 0, row_step = 0, out_row_step = 0;
};

enum class ActivationKind : std::uint8_t { none, relu, relu6, hardtanh, sigmoid, prelu, rprelu };

/// What follows a sum, per channel c, in this order (a null pointer leaves its step out):
///   y = x * alpha[c];  y = scale ? fma(y, scale[c], bias[c]) : y + bias[c];  y = y + residual;  y = activation(y).
/// relu: y > 0 ? y : 0. relu6: min(relu(y), 6). hardtanh: y clamped to [-1, 1]. sigmoid: 1 / (1 + exp(-y)).
/// prelu: y >= 0 ? y : slope[c]*y. rprelu: t = y + shift_in[c]; (t >= 0 ? t : slope[c]*t) + shift_out[c].
struct Epilogue {
  const float* alpha = nullptr;
  const float* scale = nullptr;
  const float* bias = nullptr;
  const float* residual = nullptr;  ///< dense [pixel][channels], first pixel of the stretch
  ActivationKind activation = ActivationKind::none;
  const float* slope = nullptr;
  const float* shift_in = nullptr;
  const float* shift_out = nullptr;
};

/// bit = (n >= at_least[c] && n <= at_most[c]), n = count + shift: one closed interval covers both signs of the scale, always and
/// never.
/// The channels' values are there `repeat` times in a row; repeat*channels is at most 4096 where repeat is above 1.
struct Thresholds {
  const std::int32_t* at_least = nullptr;
  const std::int32_t* at_most = nullptr;
  std::size_t repeat = 1;
  std::int32_t shift = 0;
};

/// A row of binarized attention for one target, eq. (2) and (3). y = identity, or where there are messages
///   y = identity + (gate bit ? sum of the messages from the first on : +0); no gate: the sum itself.
/// Rows are dense, [pixel][channels] floats or [pixel][ceil(channels/32)] words.
struct AttentionRow {
  const float* const* messages = nullptr;
  std::size_t message_count = 0;
  const std::uint32_t* gate = nullptr;  ///< or null
  const float* identity = nullptr;      ///< or null: identity_bits as +-1
  const std::uint32_t* identity_bits = nullptr;
};

/// The entries are references, so that a table that lacks one does not compile.
struct KernelTable {
  const char* name;          ///< of the tier, or "reference"
  std::size_t binary_lanes;  ///< output channels a block of binary weights
  std::size_t pair_words;    ///< filters of at least so many words are stored as pairs
  bool binary_splits;        ///< binary_gemm takes units of several pixels
  std::size_t float_lanes;   ///< output channels a block of float weights

  // -- bits ----------------------------------------------------------------------------------------------------------
  void (&join_bits)(const JoinBits&) noexcept;
  /// counts[u*stride + b*binary_lanes + l] = sum over the words of popcount(activation xor weight).
  void (&binary_gemm)(const BinaryGemm&, std::int32_t* counts) noexcept;
  /// counts[c] += shift + above[c] - to_end[c].
  void (&correct_counts)(std::int32_t* counts, std::size_t channels, std::int32_t shift, const std::int32_t* above,
                         const std::int32_t* to_end) noexcept;
  /// counts[p*depth*32 + c] = number of taps whose activation bit c differs from the weight bit. At most 2^16 taps.
  void (&binary_depthwise)(const Depthwise<std::uint32_t>&, std::int32_t* counts) noexcept;
  /// out[p*channels + c] = valid - 2*counts[p*stride + c]: the dot product of +-1 values over `valid` pairs.
  void (&dot_integer)(const std::int32_t* counts, std::size_t stride, std::int32_t valid, std::size_t pixels, std::size_t channels,
                      std::int32_t* out) noexcept;
  /// Packs thresholds(counts[p*stride + c]) into out[p*words + c/32], words = ceil(channels/32).
  void (&count_bits)(const std::int32_t* counts, std::size_t stride, std::size_t pixels, std::size_t channels, const Thresholds&,
                     std::uint32_t* out) noexcept;
  /// Packs signs: bit = (y >= 0), y = scale ? fma(x, scale[c], shift[c]) : shift ? x + shift[c] : x. NaN gives 0, -0.0 gives 1.
  void (&binarize)(const float* x, std::size_t pixels, std::size_t channels, const float* scale, const float* shift,
                   std::uint32_t* out) noexcept;
  /// out = bit ? +1 : -1.
  void (&unpack)(const std::uint32_t* bits, std::size_t pixels, std::size_t channels, float* out) noexcept;
  /// out[p*step + c] = y of the row.
  void (&attend)(const AttentionRow&, std::size_t pixels, std::size_t channels, float* out, std::size_t step) noexcept;
  /// bit first + c of the pixel at out + p*step |= (y >= 0).
  void (&attend_bits)(const AttentionRow&, std::size_t pixels, std::size_t channels, std::size_t first, std::uint32_t* out,
                      std::size_t step) noexcept;
  /// x = bit ? x : +0 in place, eq. (3)'s gate.
  void (&gate)(const std::uint32_t* bits, std::size_t pixels, std::size_t channels, float* x) noexcept;

  // -- floats --------------------------------------------------------------------------------------------------------
  /// The epilogue of each sum, whose residual lies as `out`: from 0, over the taps in list order and their channels in order,
  /// sum = fma(x, w, sum).
  void (&conv2d)(const Conv&, const Epilogue&, float* out) noexcept;
  /// The same where output channel c reads channel c alone: depth = channels, and tap k of a tap lies k*depth behind its pixel.
  void (&depthwise_conv2d)(const Conv&, const Epilogue&, float* out) noexcept;
  /// out[p*channels + c] = epilogue(x[p*stride + c]); out may be x where stride == channels.
  void (&epilogue)(const float* x, std::size_t stride, std::size_t pixels, std::size_t channels, const Epilogue&,
                   float* out) noexcept;
  /// out[p*channels + c] = epilogue(float(valid - 2*counts[p*stride + c])).
  void (&dot_float)(const std::int32_t* counts, std::size_t stride, std::int32_t valid, std::size_t pixels, std::size_t channels,
                    const Epilogue&, float* out) noexcept;
  /// out[i] = a[i] + b[i], out[i] = a[i] * b[i]; out may be a or b.
  void (&add)(const float* a, const float* b, std::size_t count, float* out) noexcept;
  void (&multiply)(const float* a, const float* b, std::size_t count, float* out) noexcept;
  /// sums[c] += x[p*stride + c], pixel by pixel.
  void (&sum_channels)(const float* x, std::size_t stride, std::size_t pixels, std::size_t channels, double* sums) noexcept;
  /// Maximum over the taps, in list order from the first: m = x > m || isnan(x) ? x : m (PyTorch). depth = channels; weights
  /// unused; tap_count >= 1.
  void (&max_pool)(const Depthwise<float>&, float* out) noexcept;
  /// (sum over the taps in list order, from +0) / divisor. depth = channels; weights unused.
  void (&average_pool)(const Depthwise<float>&, float divisor, float* out) noexcept;
  /// A row between two rows: out[i] = fma(fraction, bottom[i] - top[i], top[i]). `stream`: nobody reads `out` soon, so it is
  /// written past the caches where the tier can.
  void (&resize_rows)(const float* top, const float* bottom, float fraction, std::size_t count, bool stream, float* out) noexcept;
  /// Pixels between two pixels of a row: pixel x, channel c lies between l = row[left[x]*channels + c] and r, likewise of right:
  /// out[x*channels + c] = fma(fraction[x], r - l, l).
  void (&resize_columns)(const float* row, const std::uint32_t* left, const std::uint32_t* right, const float* fraction,
                         std::size_t pixels, std::size_t channels, float* out) noexcept;
  /// Both at once: resize_rows(row_fraction) of resize_columns of `top` and of `bottom`. Pixel x is written to out[x*stride].
  void (&resize_row)(const float* top, const float* bottom, float row_fraction, const std::uint32_t* left,
                     const std::uint32_t* right, const float* fraction, std::size_t pixels, std::size_t channels,
                     std::size_t stride, float* out) noexcept;
  /// Softmax over each stretch of `group` consecutive values: exp(x - max) / sum, sum from the first in order.
  void (&softmax)(const float* x, std::size_t groups, std::size_t group, float* out) noexcept;
};

// The entries by name, in the table's order: tables are filled by these lists, and tests walk them.
#define BIMTDP_BIT_KERNELS(entry)                                                                                        \
  entry(join_bits) entry(binary_gemm) entry(correct_counts) entry(binary_depthwise) entry(dot_integer) entry(count_bits) \
      entry(binarize) entry(unpack) entry(attend) entry(attend_bits) entry(gate)
#define BIMTDP_FLOAT_KERNELS(entry)                                                                                     \
  entry(conv2d) entry(depthwise_conv2d) entry(epilogue) entry(dot_float) entry(add) entry(multiply) entry(sum_channels) \
      entry(max_pool) entry(average_pool) entry(resize_rows) entry(resize_columns) entry(resize_row) entry(softmax)
#define BIMTDP_KERNELS(entry) BIMTDP_BIT_KERNELS(entry) BIMTDP_FLOAT_KERNELS(entry)

/// Whether binary_gemm wants the words of such a filter, and those of the pixels, as pairs.
[[nodiscard]] inline bool stored_as_pairs(const KernelTable& table, std::size_t filter_words) noexcept {
  return filter_words >= table.pair_words;
}

}  // namespace bimtdp::kernels
