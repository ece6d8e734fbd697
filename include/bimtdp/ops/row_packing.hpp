// SPDX-License-Identifier: Apache-2.0
// RowPacking: bits of an input row as the binary kernel reads them. A filter row (kernel width x channels of a group) is a list
// of 64-bit words; for each of them the packed row has a *plane*: the word that meets it, for every output pixel in turn. Pixels
// outside the image have bits 0, so what they add is known: see BinarySums.
//
// joined: the taps' bits follow each other without gaps, as narrow layers need it (18 channels: one word instead of three).
// apart: every tap starts a word; taps read the same planes, at an offset, and may be left out one by one.
#pragma once

#include <bimtdp/core/bit_tensor.hpp>
#include <bimtdp/kernels/table.hpp>
#include <bimtdp/ops/window_runs.hpp>

#include <numeric>
#include <span>

namespace bimtdp::ops {

namespace detail {

/// Words of packed rows lie in memory as two 32-bit halves, the lower first.
[[nodiscard]] inline std::uint64_t load_word(const std::uint32_t* halves) noexcept {
  return halves[0] | std::uint64_t{halves[1]} << 32;
}
inline void store_word(std::uint64_t word, std::uint32_t* halves) noexcept {
  halves[0] = static_cast<std::uint32_t>(word);
  halves[1] = static_cast<std::uint32_t>(word >> 32);
}
/// The upper half becomes x0 ^ x1.
[[nodiscard]] inline std::uint64_t as_pair(std::uint64_t word) noexcept { return word ^ word << 32; }

/// Calls body(read) where read(pixel) gives bits first to first + count - 1 of a pixel, 0 < count <= 64.
template <class Body>
void with_bits(std::size_t first, std::size_t count, Body&& body) noexcept {
  const std::size_t skip = first / 32, shift = first % 32;
  const std::uint64_t mask = low_bits<std::uint64_t>(count);
  if (shift + count <= 32) {
    body([=](const std::uint32_t* pixel) { return (pixel[skip] >> shift) & mask; });
  } else if (shift + count <= 64) {
    body([=](const std::uint32_t* pixel) { return (load_word(pixel + skip) >> shift) & mask; });
  } else {
    body([=](const std::uint32_t* pixel) {
      return ((load_word(pixel + skip) >> shift) | std::uint64_t{pixel[skip + 2]} << (64 - shift)) & mask;
    });
  }
}

}  // namespace detail

/// Taps first to end - 1.
struct TapRange {
  std::size_t first = 0, end = 0;
  [[nodiscard]] std::size_t count() const noexcept { return end - first; }
  friend bool operator==(const TapRange&, const TapRange&) = default;
};

/// The taps of output `o` that are inside the image.
[[nodiscard]] inline TapRange taps_inside(const WindowAxis& axis, std::size_t o) noexcept {
  const std::size_t at = o * axis.stride, limit = axis.before + axis.input;
  const std::size_t first = at >= axis.before ? 0 : (axis.before - at + axis.dilation - 1) / axis.dilation;
  const std::size_t end = at >= limit ? 0 : std::min(axis.kernel, (limit - at - 1) / axis.dilation + 1);
  return first < end ? TapRange{first, end} : TapRange{};
}

class RowPacking {
 public:
  RowPacking(const kernels::KernelTable& table, const Window& window, std::size_t groups, std::size_t channels)
      : taps_(window.kernel[1]), stride_(window.stride[1]), dilation_(window.dilation[1]), groups_(groups), channels_(channels) {
    tap_words_ = words_for<std::uint64_t>(channels);
    const std::size_t apart = taps_ * tap_words_, joined = words_for<std::uint64_t>(taps_ * channels);
    joined_ = dilation_ == 1 ? joined < apart : 3 * joined <= 2 * apart;  // wide dilation leaves many taps outside
    words_ = joined_ ? joined : apart;
    phases_ = std::min(taps_, stride_ / std::gcd(stride_, dilation_));
    pairs_ = kernels::stored_as_pairs(table, window.kernel[0] * words_);
  }

  /// 64-bit words of a filter row.
  [[nodiscard]] std::size_t words() const noexcept { return words_; }
  /// Whether single taps can be left out.
  [[nodiscard]] bool apart() const noexcept { return !joined_; }
  /// Halves of a plane; a few pixels behind the last may be read, their values do not matter.
  [[nodiscard]] std::size_t plane(const WindowAxis& columns) const noexcept {
    constexpr std::size_t behind = 24;
    return 2 * (columns.output + (joined_ ? 0 : (taps_ - 1) * dilation_ / stride_) + behind);
  }
  /// Halves of a packed row: the planes of all groups.
  [[nodiscard]] std::size_t row_size(const WindowAxis& columns) const noexcept { return groups_ * planes() * plane(columns); }

  /// Packs an input row; its pixels have `step` 32-bit words.
  void pack(const std::uint32_t* row, std::size_t step, const WindowAxis& columns, std::uint32_t* packed) const noexcept {
    const std::size_t size = planes() * plane(columns);
    for (std::size_t g = 0; g < groups_; ++g)
      (joined_ ? &RowPacking::join : &RowPacking::spread)(*this, row, step, columns, g, packed + g * size);
  }

  /// Words of the filter row that `taps` touch: visit(index, its plane at output pixel x).
  template <class Visit>
  void for_each_word(const std::uint32_t* packed, const WindowAxis& columns, std::size_t group, std::size_t x, const TapRange& taps,
                     Visit&& visit) const noexcept {
    const std::size_t plane = this->plane(columns);
    packed += group * planes() * plane + 2 * x;
    if (joined_) {
      for (std::size_t q = 0; q < words_; ++q) visit(q, packed + q * plane);
      return;
    }
    for (std::size_t tap = taps.first; tap < taps.end; ++tap)
      for (std::size_t w = 0; w < tap_words_; ++w)
        visit(tap * tap_words_ + w, packed + (tap % phases_ * tap_words_ + w) * plane + 2 * (tap * dilation_ / stride_));
  }

  /// Packs a filter row given as tap_words() words a tap, tail bits 0, into words() words.
  void pack_filter(std::span<const std::uint64_t> row, std::span<std::uint64_t> packed) const noexcept {
    std::fill(packed.begin(), packed.end(), 0U);
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::size_t bit = joined_ ? i / tap_words_ * channels_ + i % tap_words_ * 64 : i * 64;
      packed[bit / 64] |= row[i] << (bit % 64);
      if (bit % 64 != 0 && bit / 64 + 1 < packed.size()) packed[bit / 64 + 1] |= row[i] >> (64 - bit % 64);
    }
    if (pairs_)
      for (std::uint64_t& word : packed) word = detail::as_pair(word);
  }

 private:
  [[nodiscard]] std::size_t planes() const noexcept { return joined_ ? words_ : phases_ * tap_words_; }
  /// Channels of chunk w of a tap.
  [[nodiscard]] std::size_t chunk(std::size_t w) const noexcept { return std::min<std::size_t>(64, channels_ - w * 64); }

  /// Apart: plane (phase, w) holds word w of padded columns phase, phase + stride, ...
  static void spread(const RowPacking& p, const std::uint32_t* row, std::size_t step, const WindowAxis& columns, std::size_t group,
                     std::uint32_t* out) noexcept {
    const std::size_t plane = p.plane(columns), stride = p.stride_;
    for (std::size_t phase = 0; phase < p.phases_; ++phase)
      for (std::size_t w = 0; w < p.tap_words_; ++w, out += plane) {
        const std::size_t first = phase * p.dilation_ % stride, count = plane / 2;
        const auto behind = [&](std::size_t column) {
          return column <= first ? 0 : std::min(count, (column - first + stride - 1) / stride);
        };
        const std::size_t begin = behind(columns.before), end = behind(columns.before + columns.input);
        std::fill(out, out + 2 * begin, 0U);
        if (begin < end)
          detail::with_bits(group * p.channels_ + w * 64, p.chunk(w), [&](auto read) {
            const std::uint32_t* pixel = row + (begin * stride + first - columns.before) * step;
            for (std::size_t i = begin; i < end; ++i, pixel += stride * step) {
              const std::uint64_t word = read(pixel);
              detail::store_word(p.pairs_ ? detail::as_pair(word) : word, out + 2 * i);
            }
          });
        std::fill(out + 2 * end, out + plane, 0U);
      }
  }

  /// Joined: bit i of a filter row is bit i % 64 of plane i / 64.
  static void join(const RowPacking& p, const std::uint32_t* row, std::size_t step, const WindowAxis& columns, std::size_t group,
                   std::uint32_t* out) noexcept {
    const std::size_t plane = p.plane(columns), all = p.words_ * plane;
    std::fill(out, out + all, 0U);
    for (std::size_t tap = 0; tap < p.taps_; ++tap) {
      const std::size_t reach = tap * p.dilation_, stride = p.stride_;
      const auto behind = [&](std::size_t column) {
        return column <= reach ? 0 : std::min(columns.output, (column - reach + stride - 1) / stride);
      };
      const std::size_t begin = behind(columns.before), end = behind(columns.before + columns.input);
      for (std::size_t w = 0; w < p.tap_words_ && begin < end; ++w) {
        const std::size_t bit = tap * p.channels_ + w * 64, shift = bit % 64;
        std::uint32_t* to = out + bit / 64 * plane;
        const bool spills = shift + p.chunk(w) > 64;
        detail::with_bits(group * p.channels_ + w * 64, p.chunk(w), [&](auto read) {
          const std::uint32_t* pixel = row + (begin * stride + reach - columns.before) * step;
          for (std::size_t x = begin; x < end; ++x, pixel += stride * step) {
            const std::uint64_t bits = read(pixel);
            detail::store_word(detail::load_word(to + 2 * x) | bits << shift, to + 2 * x);
            if (spills) detail::store_word(bits >> (64 - shift), to + plane + 2 * x);
          }
        });
      }
    }
    if (p.pairs_)
      for (std::size_t i = 0; i < all; i += 2) out[i + 1] ^= out[i];
  }

  std::size_t taps_, stride_, dilation_, groups_, channels_;
  std::size_t tap_words_ = 0, words_ = 0, phases_ = 1;
  bool joined_ = false, pairs_ = false;
};

}  // namespace bimtdp::ops
