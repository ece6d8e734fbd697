// SPDX-License-Identifier: Apache-2.0
// RowPacking: bits of an input row as the binary kernel reads them. A filter row (kernel width x channels of a group) is a list
// of 64-bit words; for each of them the packed row has a *plane*: the word that meets it, for every output pixel in turn. Pixels
// outside the image have bits 0, so what they add is known: see BinaryCounts.
//
// joined: the taps' bits follow each other without gaps, as narrow layers need it (18 channels: one word instead of three).
// apart: every tap starts a word; taps read the same planes, at an offset, and may be left out one by one.
#pragma once

#include <bimtdp/core/bit_tensor.hpp>
#include <bimtdp/kernels/table.hpp>
#include <bimtdp/ops/window_stretches.hpp>

#include <numeric>
#include <span>
#include <vector>

namespace bimtdp::ops {

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
  const std::size_t end = at >= limit ? 0 : (std::min)(axis.kernel, (limit - at - 1) / axis.dilation + 1);
  return first < end ? TapRange{first, end} : TapRange{};
}

class RowPacking {
 public:
  RowPacking(const kernels::KernelTable& table, const Window& window, std::size_t groups, std::size_t channels)
      : table_(&table),
        taps_(window.kernel[1]),
        stride_(window.stride[1]),
        dilation_(window.dilation[1]),
        groups_(groups),
        channels_(channels) {
    tap_words_ = words_for<std::uint64_t>(channels);
    const std::size_t apart = taps_ * tap_words_, joined = words_for<std::uint64_t>(taps_ * channels);
    joined_ = dilation_ == 1 ? joined < apart : 3 * joined <= 2 * apart;  // wide dilation leaves many taps outside
    words_ = joined_ ? joined : apart;
    phases_ = (std::min)(taps_, stride_ / std::gcd(stride_, dilation_));
    for (std::size_t i = 0; i < words_; ++i) {
      const std::size_t tap = i / tap_words_;
      places_.push_back(joined_ ? Place{i, 0} : Place{tap % phases_ * tap_words_ + i % tap_words_, tap * dilation_ / stride_});
    }
    pairs_ = kernels::stored_as_pairs(table, window.kernel[0] * words_);
  }

  /// 64-bit words of a filter row.
  [[nodiscard]] std::size_t words() const noexcept { return words_; }
  /// Whether single taps can be left out.
  [[nodiscard]] bool apart() const noexcept { return !joined_; }
  /// Halves of a plane; a few pixels behind the last may be read, their values do not matter.
  [[nodiscard]] std::size_t plane(const WindowAxis& columns) const noexcept {
    return 2 * (columns.output + (joined_ ? 0 : (taps_ - 1) * dilation_ / stride_) + kernels::pixel_slack);
  }
  /// Halves of a packed row: the planes of all groups.
  [[nodiscard]] std::size_t row_size(const WindowAxis& columns) const noexcept { return groups_ * planes() * plane(columns); }

  /// Packs an input row; its pixels have `step` 32-bit words.
  void pack(const std::uint32_t* row, std::size_t step, const WindowAxis& columns, std::uint32_t* packed) const noexcept {
    const std::size_t plane = this->plane(columns), size = planes() * plane;
    std::fill(packed, packed + groups_ * size, 0U);
    for (std::size_t g = 0; g < groups_; ++g, packed += size) {
      if (joined_) {
        for (std::size_t tap = 0; tap < taps_; ++tap)
          put(row, step, columns, g, tap * dilation_, columns.output, tap * channels_, packed);
      } else {  // plane (phase, w): word w of padded columns phase, phase + stride, ...
        for (std::size_t phase = 0; phase < phases_; ++phase)
          put(row, step, columns, g, phase * dilation_ % stride_, plane / 2, 0, packed + phase * tap_words_ * plane);
      }
    }
  }

  /// Words of the filter row that `taps` touch: visit(index, its plane at output pixel x).
  template <class Visit>
  void for_each_word(const std::uint32_t* packed, const WindowAxis& columns, std::size_t group, std::size_t x, const TapRange& taps,
                     Visit&& visit) const noexcept {
    const std::size_t plane = this->plane(columns);
    packed += group * planes() * plane + 2 * x;
    const std::size_t first = joined_ ? 0 : taps.first * tap_words_, end = joined_ ? words_ : taps.end * tap_words_;
    for (std::size_t i = first; i < end; ++i) visit(i, packed + places_[i].plane * plane + 2 * places_[i].pixel);
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
      for (std::uint64_t& word : packed) word ^= word << 32;
  }

 private:
  /// A word meets this plane, so many pixels further on.
  struct Place {
    std::size_t plane, pixel;
  };
  [[nodiscard]] std::size_t planes() const noexcept { return joined_ ? words_ : phases_ * tap_words_; }

  /// Outputs x with origin <= x*stride, at most `most`: the first one.
  [[nodiscard]] std::size_t output_at(std::size_t origin, std::size_t most) const noexcept {
    return (std::min)(most, (origin + stride_ - 1) / stride_);
  }
  /// The bits of one column per word, columns `first`, first + stride, ... of the padded row, to bit `bit` of the planes at `out`.
  void put(const std::uint32_t* row, std::size_t step, const WindowAxis& columns, std::size_t group, std::size_t first,
           std::size_t most, std::size_t bit, std::uint32_t* out) const noexcept {
    const std::size_t left = columns.before, right = columns.before + columns.input;
    const std::size_t begin = left <= first ? 0 : output_at(left - first, most),
                      end = right <= first ? 0 : output_at(right - first, most);
    if (begin >= end) return;
    const std::uint32_t* pixel = row + (begin * stride_ + first - left) * step;
    const std::size_t plane = this->plane(columns);
    for (std::size_t done = 0; done < channels_;) {
      const std::size_t from = group * channels_ + done, bits = (std::min)(channels_ - done, 64 - from % 32);
      std::uint32_t* to = out + (bit + done) / 64 * plane + 2 * begin;
      table_->join_bits(
          {pixel + from / 32, stride_ * step, end - begin, from % 32, bits, (bit + done) % 64, pairs_, to, to + plane});
      done += bits;
    }
  }

  const kernels::KernelTable* table_;
  std::size_t taps_, stride_, dilation_, groups_, channels_;
  std::size_t tap_words_ = 0, words_ = 0, phases_ = 1;
  std::vector<Place> places_{};  // of the filter row's words
  bool joined_ = false, pairs_ = false;
};

}  // namespace bimtdp::ops
