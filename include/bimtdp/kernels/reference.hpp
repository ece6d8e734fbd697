// SPDX-License-Identifier: Apache-2.0
// Plain C++ truth for every entry of the kernel table. Readable loops, one output channel a block; the tests compare the rest with
// it.
#pragma once

#include <bimtdp/kernels/exponential.hpp>
#include <bimtdp/kernels/table.hpp>
#include <bimtdp/simd/emulated_fma.hpp>
#include <bimtdp/simd/target.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>

BIMTDP_EXACT_BEGIN
namespace bimtdp::kernels::inline BIMTDP_ABI::reference {

inline constexpr std::size_t word_bits = 32;

[[nodiscard]] inline bool bit_of(const std::uint32_t* words, std::size_t channel) noexcept {
  return (words[channel / word_bits] >> (channel % word_bits)) & 1u;
}

inline void set_bit(std::uint32_t* words, std::size_t channel, bool value) noexcept {
  if (channel % word_bits == 0) words[channel / word_bits] = 0;
  words[channel / word_bits] |= static_cast<std::uint32_t>(value) << (channel % word_bits);
}

// -- what follows a sum ------------------------------------------------------------------------------------------------

[[nodiscard]] inline float activate(float y, std::size_t c, const Epilogue& e) noexcept {
  switch (e.activation) {
    case ActivationKind::none:
      break;
    case ActivationKind::relu:
      return y > 0.0f ? y : 0.0f;
    case ActivationKind::relu6: {
      const float positive = y > 0.0f ? y : 0.0f;
      return positive > 6.0f ? 6.0f : positive;
    }
    case ActivationKind::hardtanh:
      return y < -1.0f ? -1.0f : y > 1.0f ? 1.0f : y;
    case ActivationKind::sigmoid:
      return 1.0f / (1.0f + exponential(0.0f - y));
    case ActivationKind::prelu:
      return y >= 0.0f ? y : e.slope[c] * y;
    case ActivationKind::rprelu: {
      const float t = y + e.shift_in[c];
      return (t >= 0.0f ? t : e.slope[c] * t) + e.shift_out[c];
    }
  }
  return y;
}

[[nodiscard]] inline float finish(float y, std::size_t p, std::size_t c, std::size_t channels, const Epilogue& e) noexcept {
  if (e.alpha) y = y * e.alpha[c];
  if (e.scale) {
    y = simd::exact_fma(y, e.scale[c], e.bias[c]);
  } else if (e.bias) {
    y = y + e.bias[c];
  }
  if (e.residual) y = y + e.residual[p * channels + c];
  return activate(y, c, e);
}

// -- bits --------------------------------------------------------------------------------------------------------------

inline void join_bits(const JoinBits& j) noexcept {
  const auto put = [&](std::uint32_t* halves, std::size_t bit) {
    halves[bit / word_bits] ^= 1u << (bit % word_bits);
    if (j.pairs && bit < word_bits) halves[1] ^= 1u << bit;
  };
  for (std::size_t p = 0; p < j.count; ++p) {
    if (j.shift + j.bits > 64) j.high[2 * p] = j.high[2 * p + 1] = 0;
    for (std::size_t i = 0; i < j.bits; ++i) {
      if (!bit_of(j.pixels + p * j.step, j.first + i)) continue;
      const std::size_t to = j.shift + i;
      put(to < 64 ? j.low + 2 * p : j.high + 2 * p, to % 64);
    }
  }
}

inline void binary_gemm(const BinaryGemm& g, std::int32_t* counts) noexcept {
  for (std::size_t u = 0; u < g.units; ++u)
    for (std::size_t c = 0; c < g.blocks; ++c) {
      std::int32_t count = 0;
      for (std::size_t i = 0; i < g.count; ++i) {
        const std::uint32_t* weight = g.weights + (c * g.filter_words + g.words[i].index) * 2;
        const std::uint32_t* pixel = g.words[i].pixels + (u * g.unit_pixels + c / g.channels) * 2;
        count += std::popcount(pixel[0] ^ weight[0]) + std::popcount(pixel[1] ^ weight[1]);
      }
      counts[u * g.stride + c] = count;
    }
}

inline void binary_depthwise(const Depthwise<std::uint32_t>& d, std::int32_t* counts) noexcept {
  const std::size_t channels = d.depth * word_bits;
  for (std::size_t p = 0; p < d.pixels; ++p)
    for (std::size_t c = 0; c < channels; ++c) {
      std::int32_t count = 0;
      for (std::size_t t = 0; t < d.tap_count; ++t)
        count += bit_of(d.taps[t].pixel + p * d.pixel_step, c) != bit_of(d.weights + d.taps[t].index * d.depth, c);
      counts[p * channels + c] = count;
    }
}

inline void dot_integer(const std::int32_t* counts, std::size_t stride, std::int32_t valid, std::size_t pixels,
                        std::size_t channels, std::int32_t* out) noexcept {
  for (std::size_t p = 0; p < pixels; ++p)
    for (std::size_t c = 0; c < channels; ++c) out[p * channels + c] = valid - 2 * counts[p * stride + c];
}

inline void correct_counts(std::int32_t* counts, std::size_t channels, std::int32_t shift, const std::int32_t* above,
                           const std::int32_t* to_end) noexcept {
  for (std::size_t c = 0; c < channels; ++c) counts[c] += shift + above[c] - to_end[c];
}

inline void dot_float(const std::int32_t* counts, std::size_t stride, std::int32_t valid, std::size_t pixels, std::size_t channels,
                      const Epilogue& e, float* out) noexcept {
  for (std::size_t p = 0; p < pixels; ++p)
    for (std::size_t c = 0; c < channels; ++c)
      out[p * channels + c] = finish(static_cast<float>(valid - 2 * counts[p * stride + c]), p, c, channels, e);
}

inline void count_bits(const std::int32_t* counts, std::size_t stride, std::size_t pixels, std::size_t channels,
                       const Thresholds& thresholds, std::uint32_t* out) noexcept {
  const std::size_t words = (channels + word_bits - 1) / word_bits;
  for (std::size_t p = 0; p < pixels; ++p)
    for (std::size_t c = 0; c < channels; ++c) {
      const std::int32_t n = counts[p * stride + c] + thresholds.shift;
      set_bit(out + p * words, c, n >= thresholds.at_least[c] && n <= thresholds.at_most[c]);
    }
}

inline void binarize(const float* x, std::size_t pixels, std::size_t channels, const float* scale, const float* shift,
                     std::uint32_t* out) noexcept {
  const std::size_t words = (channels + word_bits - 1) / word_bits;
  for (std::size_t p = 0; p < pixels; ++p)
    for (std::size_t c = 0; c < channels; ++c) {
      const float value = x[p * channels + c];
      const float y = scale ? simd::exact_fma(value, scale[c], shift[c]) : shift ? value + shift[c] : value;
      set_bit(out + p * words, c, y >= 0.0f);
    }
}

inline void unpack(const std::uint32_t* bits, std::size_t pixels, std::size_t channels, float* out) noexcept {
  const std::size_t words = (channels + word_bits - 1) / word_bits;
  for (std::size_t p = 0; p < pixels; ++p)
    for (std::size_t c = 0; c < channels; ++c) out[p * channels + c] = bit_of(bits + p * words, c) ? 1.0f : -1.0f;
}

[[nodiscard]] inline float attended(const AttentionRow& row, std::size_t p, std::size_t c, std::size_t channels) noexcept {
  const std::size_t words = (channels + word_bits - 1) / word_bits, i = p * channels + c;
  const float identity = row.identity ? row.identity[i] : bit_of(row.identity_bits + p * words, c) ? 1.0f : -1.0f;
  if (row.message_count == 0) return identity;
  float sum = row.messages[0][i];
  for (std::size_t m = 1; m < row.message_count; ++m) sum = sum + row.messages[m][i];
  return identity + (row.gate && !bit_of(row.gate + p * words, c) ? 0.0f : sum);
}

inline void attend(const AttentionRow& row, std::size_t pixels, std::size_t channels, float* out, std::size_t step) noexcept {
  for (std::size_t p = 0; p < pixels; ++p)
    for (std::size_t c = 0; c < channels; ++c) out[p * step + c] = attended(row, p, c, channels);
}

inline void attend_bits(const AttentionRow& row, std::size_t pixels, std::size_t channels, std::size_t first, std::uint32_t* out,
                        std::size_t step) noexcept {
  for (std::size_t p = 0; p < pixels; ++p)
    for (std::size_t c = 0; c < channels; ++c)
      out[p * step + (first + c) / word_bits] |= static_cast<std::uint32_t>(attended(row, p, c, channels) >= 0.0f)
                                                 << ((first + c) % word_bits);
}

inline void gate(const std::uint32_t* bits, std::size_t pixels, std::size_t channels, float* x) noexcept {
  const std::size_t words = (channels + word_bits - 1) / word_bits;
  for (std::size_t p = 0; p < pixels; ++p)
    for (std::size_t c = 0; c < channels; ++c)
      if (!bit_of(bits + p * words, c)) x[p * channels + c] = 0.0f;
}

// -- floats ------------------------------------------------------------------------------------------------------------

/// visit(input of the taps, index in `out`) for the pixels of a rectangle.
template <class Visit>
inline void for_each_pixel(const Conv& g, Visit visit) noexcept {
  for (std::size_t row = 0; row < g.rows; ++row)
    for (std::size_t p = 0; p < g.pixels; ++p) visit(row * g.row_step + p * g.pixel_step, row * g.out_row_step + p * g.out_step);
}

inline void conv2d(const Conv& g, const Epilogue& e, float* out) noexcept {
  for_each_pixel(g, [&](std::size_t from, std::size_t to) {
    for (std::size_t c = 0; c < g.channels; ++c) {
      float sum = 0.0f;
      for (std::size_t t = 0; t < g.tap_count; ++t)
        for (std::size_t k = 0; k < g.length; ++k)
          sum = simd::exact_fma(g.taps[t].pixel[from + k], g.weights[(c * g.kernel_taps + g.taps[t].index) * g.depth + k], sum);
      out[to + c] = finish(sum, to, c, 1, e);
    }
  });
}

inline void depthwise_conv2d(const Conv& g, const Epilogue& e, float* out) noexcept {
  for_each_pixel(g, [&](std::size_t from, std::size_t to) {
    for (std::size_t c = 0; c < g.channels; ++c) {
      float sum = 0.0f;
      for (std::size_t t = 0; t < g.tap_count; ++t)
        for (std::size_t k = c; k < g.length; k += g.depth)
          sum = simd::exact_fma(g.taps[t].pixel[from + k], g.weights[g.taps[t].index * g.depth + k], sum);
      out[to + c] = finish(sum, to, c, 1, e);
    }
  });
}

inline void epilogue(const float* x, std::size_t stride, std::size_t pixels, std::size_t channels, const Epilogue& e,
                     float* out) noexcept {
  for (std::size_t p = 0; p < pixels; ++p)
    for (std::size_t c = 0; c < channels; ++c) out[p * channels + c] = finish(x[p * stride + c], p, c, channels, e);
}

inline void add(const float* a, const float* b, std::size_t count, float* out) noexcept {
  for (std::size_t i = 0; i < count; ++i) out[i] = a[i] + b[i];
}

inline void multiply(const float* a, const float* b, std::size_t count, float* out) noexcept {
  for (std::size_t i = 0; i < count; ++i) out[i] = a[i] * b[i];
}

inline void sum_channels(const float* x, std::size_t stride, std::size_t pixels, std::size_t channels, double* sums) noexcept {
  for (std::size_t p = 0; p < pixels; ++p)
    for (std::size_t c = 0; c < channels; ++c) sums[c] += static_cast<double>(x[p * stride + c]);
}

inline void max_pool(const Depthwise<float>& d, float* out) noexcept {
  for (std::size_t p = 0; p < d.pixels; ++p)
    for (std::size_t c = 0; c < d.depth; ++c) {
      float m = d.taps[0].pixel[p * d.pixel_step + c];
      for (std::size_t t = 1; t < d.tap_count; ++t) {
        const float x = d.taps[t].pixel[p * d.pixel_step + c];
        m = x > m || x != x ? x : m;
      }
      out[p * d.depth + c] = m;
    }
}

inline void average_pool(const Depthwise<float>& d, float divisor, float* out) noexcept {
  for (std::size_t p = 0; p < d.pixels; ++p)
    for (std::size_t c = 0; c < d.depth; ++c) {
      float sum = 0.0f;
      for (std::size_t t = 0; t < d.tap_count; ++t) sum = sum + d.taps[t].pixel[p * d.pixel_step + c];
      out[p * d.depth + c] = sum / divisor;
    }
}

inline void resize_rows(const float* top, const float* bottom, float fraction, std::size_t count, bool, float* out) noexcept {
  for (std::size_t i = 0; i < count; ++i) out[i] = simd::exact_fma(fraction, bottom[i] - top[i], top[i]);
}

inline void resize_columns(const float* row, const std::uint32_t* left, const std::uint32_t* right, const float* fraction,
                           std::size_t pixels, std::size_t channels, float* out) noexcept {
  for (std::size_t x = 0; x < pixels; ++x)
    for (std::size_t c = 0; c < channels; ++c) {
      const float l = row[left[x] * channels + c], r = row[right[x] * channels + c];
      out[x * channels + c] = simd::exact_fma(fraction[x], r - l, l);
    }
}

inline void resize_row(const float* top, const float* bottom, float row_fraction, const std::uint32_t* left,
                       const std::uint32_t* right, const float* fraction, std::size_t pixels, std::size_t channels,
                       std::size_t stride, float* out) noexcept {
  for (std::size_t x = 0; x < pixels; ++x, out += stride) {
    float t = 0.0f, u = 0.0f;
    for (std::size_t c = 0; c < channels; ++c) {
      const std::uint32_t l = left[x] * static_cast<std::uint32_t>(channels), r = right[x] * static_cast<std::uint32_t>(channels);
      resize_columns(top + c, &l, &r, fraction + x, 1, 1, &t);
      resize_columns(bottom + c, &l, &r, fraction + x, 1, 1, &u);
      resize_rows(&t, &u, row_fraction, 1, false, out + c);
    }
  }
}

inline void softmax(const float* x, std::size_t groups, std::size_t group, float* out) noexcept {
  for (std::size_t g = 0; g < groups; ++g, x += group, out += group) {
    float largest = x[0];
    for (std::size_t i = 1; i < group; ++i) largest = x[i] > largest ? x[i] : largest;
    float sum = 0.0f;
    for (std::size_t i = 0; i < group; ++i) {
      out[i] = exponential(x[i] - largest);
      sum = sum + out[i];
    }
    for (std::size_t i = 0; i < group; ++i) out[i] = out[i] / sum;
  }
}

}  // namespace bimtdp::kernels::inline BIMTDP_ABI::reference
BIMTDP_EXACT_END

namespace bimtdp::kernels::inline BIMTDP_ABI {

/// The plain C++ table: slow, and the definition of every result.
[[nodiscard]] inline const KernelTable& reference_table() noexcept {
  static constexpr KernelTable table{.name = "reference",
                                     .binary_lanes = 1,
                                     .pair_words = ~std::size_t{0},
                                     .binary_splits = true,
                                     .float_lanes = 1,
#define BIMTDP_ENTRY(kernel) .kernel = reference::kernel,
                                     BIMTDP_KERNELS(BIMTDP_ENTRY)
#undef BIMTDP_ENTRY
  };
  return table;
}

}  // namespace bimtdp::kernels::inline BIMTDP_ABI
