// SPDX-License-Identifier: Apache-2.0
// BinaryCounts: for each output pixel and channel of a binary convolution the number of differing bits, row by row, for any window
// and groups. Rows outside the image are left out. Columns outside have activation bits 0 and add the weight's bits there, a
// number known in advance, which is taken away at the borders: zero padding is exact. One channel a group is the depthwise kernel.
#pragma once

#include <bimtdp/core/checked.hpp>
#include <bimtdp/ops/packed_rows.hpp>

#include <bit>
#include <string_view>
#include <vector>

namespace bimtdp::ops {

class BinaryCounts {
 public:
  static constexpr std::size_t max_taps = std::size_t{1} << 16;

  /// `weights`: [out][kh][kw][ceil(in/groups/64)], tail bits 0. Throws Error for a geometry that does not fit together.
  BinaryCounts(const kernels::KernelTable& table, const Window& window, std::size_t groups, std::size_t in_channels,
               std::size_t out_channels, std::span<const std::uint64_t> weights, std::string_view where)
      : table_(&table),
        window_(window),
        groups_(checked_groups(window, groups, in_channels, out_channels, weights.size(), where)),
        in_(in_channels),
        out_(out_channels),
        where_(where),
        packing_(table, window, groups_, in_ / groups_) {
    depthwise_ = groups > 1 && groups == in_ && groups == out_;
    if (depthwise_) {
      pack_depthwise(weights);
      longest_stretch_ = find_longest_stretch();
      return;
    }
    unit_ = unit_for(table, groups_, out_);
    blocks_ = (unit_ * group_out() + table.binary_lanes - 1) / table.binary_lanes;
    longest_stretch_ = find_longest_stretch();
    pack(weights);
    if (window.padding.left > 0 || window.padding.right > 0) count_bits(weights);
  }

  /// Throws Error unless these are parameters of a binary convolution.
  static void check_geometry(const Window& window, std::size_t groups, std::size_t in, std::size_t out, std::string_view where) {
    check_convolution(window, groups, in, out, where);
    demand(window.taps() <= max_taps, where, "kernel (got ", window.taps(), " taps, expected at most ", max_taps, ")");
  }

  [[nodiscard]] std::size_t group_channels() const noexcept { return in_ / groups_; }
  [[nodiscard]] std::size_t out_channels() const noexcept { return out_; }
  [[nodiscard]] const kernels::KernelTable& table() const noexcept { return *table_; }
  /// Above 1 the sums of neighbouring pixels follow each other without a gap, and those of so many pixels fill whole vectors.
  [[nodiscard]] std::size_t unit() const noexcept { return unit_; }

  [[nodiscard]] WindowStretches stretches(const Shape& input) const {
    check_equal(input.channels, in_, where_, "input channels");
    demand(input.elements() > 0, where_, "empty input ", input);
    return WindowStretches(input, window_, where_);
  }
  [[nodiscard]] std::size_t row_bytes(const WindowStretches& stretches) const noexcept {
    return PackedRows::bytes(row_packing(), stretches);
  }
  /// What row() needs besides the packed rows.
  [[nodiscard]] std::size_t count_bytes(const WindowStretches& stretches) const noexcept {
    const std::size_t list = depthwise_ ? scratch_size<kernels::Tap<std::uint32_t>>(stretches.max_taps())
                                        : scratch_size<kernels::PackedWord>(filter_words());
    return list + scratch_size<std::int32_t>((longest_stretch() + unit_) * stride());
  }
  /// The rows of a map; takes row_bytes() of `scratch`. Layers with the same table, window, groups and channels can share them.
  [[nodiscard]] PackedRows rows(const std::uint32_t* map, const WindowStretches& stretches, Scratch& scratch) const noexcept {
    return {row_packing(), stretches, map, words_for<std::uint32_t>(in_), scratch};
  }

  /// Pairs of a dot product whose taps are all inside.
  [[nodiscard]] std::int32_t pairs() const noexcept { return static_cast<std::int32_t>(group_channels() * window_.taps()); }

  /// Calls finish(first pixel, pixels, valid, sums, stride) for the pixels of output row y, left to right: the dot product of
  /// pixel p, channel c is valid - 2*sums[p*stride + c].
  /// Uses count_bytes() of `scratch`. `target`: the row of floats that finish() will write, or null.
  template <class Finish>
  void row(PackedRows& rows, std::size_t y, Scratch scratch, const float* target, Finish&& finish) const noexcept {
    if (depthwise_) return depthwise_row(rows, y, scratch, finish);
    auto* list = scratch.take<kernels::PackedWord>(filter_words());
    auto* sums = scratch.take<std::int32_t>((longest_stretch() + unit_) * stride());
    const Row row{y, taps_inside(rows.stretches().rows(), y), list, sums, target};
    const std::span<const ColumnStretch> stretches = rows.column_stretches();
    for (std::size_t i = 0, j = 0; i < stretches.size(); i = j) {
      for (j = i + 1; j < stretches.size() && stretches[j].computed == stretches[i].computed; ++j) {
      }
      const std::size_t end = stretches[j - 1].end;
      const ColumnStretch* stretch = &stretches[i];
      for (std::size_t x = stretch->begin; x < end; x += (std::min)(longest_stretch(), end - x)) {
        const std::size_t pixels = (std::min)(longest_stretch(), end - x);
        sum(rows, row, x, pixels, stretch->computed);
        stretch = finish_piece(stretch, row, x, x + pixels, finish);
      }
    }
  }

 private:
  /// An output row at work.
  struct Row {
    std::size_t y;
    TapRange inside;  // kernel rows
    kernels::PackedWord* list;
    std::int32_t* sums;
    const float* target;
  };

  static std::size_t checked_groups(const Window& window, std::size_t groups, std::size_t in, std::size_t out, std::size_t weights,
                                    std::string_view where) {
    check_geometry(window, groups, in, out, where);
    const std::size_t words = words_for<std::uint64_t>(in / groups);
    check_equal(weights, (Checked(out) * window.taps() * words).size(), where, "weight words");
    return groups;
  }
  /// Several pixels a unit where their channels leave at least a tenth fewer lanes idle than one by one.
  [[nodiscard]] static std::size_t unit_for(const kernels::KernelTable& table, std::size_t groups, std::size_t out) noexcept {
    const std::size_t lanes = table.binary_lanes, unit = lanes / std::gcd(lanes, out);
    const std::size_t alone = unit * ((out + lanes - 1) / lanes), together = unit * out / lanes;
    return table.binary_splits && groups == 1 && out >= lanes && 10 * together <= 9 * alone ? unit : 1;
  }

  [[nodiscard]] std::size_t group_out() const noexcept { return out_ / groups_; }
  [[nodiscard]] std::size_t filter_words() const noexcept { return window_.kernel[0] * packing_.words(); }
  [[nodiscard]] std::size_t weights_of_group() const noexcept { return blocks_ * filter_words() * 2 * table_->binary_lanes; }
  /// Null for the depthwise kernel, which reads the map itself.
  [[nodiscard]] const RowPacking* row_packing() const noexcept { return depthwise_ ? nullptr : &packing_; }
  /// Sums between neighbouring pixels. A group's idle lanes are written over by the next group.
  [[nodiscard]] std::size_t stride() const noexcept {
    if (depthwise_) return words_for<std::uint32_t>(in_) * 32;
    return unit_ > 1 ? out_ : out_ - group_out() + blocks_ * table_->binary_lanes;
  }
  /// Pixels a piece: about 24 KiB of sums, whole tiles and units.
  [[nodiscard]] std::size_t longest_stretch() const noexcept { return longest_stretch_; }
  [[nodiscard]] std::size_t find_longest_stretch() const noexcept {
    const std::size_t step = std::lcm(kernels::tile_step, unit_);
    return std::clamp<std::size_t>(6144 / stride() / step * step, step, 192);
  }

  void pack(std::span<const std::uint64_t> weights) {
    const std::size_t lanes = table_->binary_lanes, each = weights.size() / out_, row_words = each / window_.kernel[0];
    weights_.resize((Checked(groups_) * blocks_ * filter_words() * 2 * lanes).size());
    std::vector<std::uint64_t> filter(filter_words());
    for (std::size_t o = 0; o < out_; ++o) {
      for (std::size_t ky = 0; ky < window_.kernel[0]; ++ky)
        packing_.pack_filter(weights.subspan(o * each + ky * row_words, row_words),
                             std::span(filter).subspan(ky * packing_.words(), packing_.words()));
      for (std::size_t u = 0; u < unit_; ++u) {
        const std::size_t lane = u * group_out() + o % group_out();
        std::uint32_t* to =
            weights_.data() + o / group_out() * weights_of_group() + lane / lanes * filter_words() * 2 * lanes + lane % lanes;
        for (std::size_t i = 0; i < filter.size(); ++i) {
          to[2 * i * lanes] = static_cast<std::uint32_t>(filter[i]);
          to[(2 * i + 1) * lanes] = static_cast<std::uint32_t>(filter[i] >> 32);
        }
      }
    }
  }
  void pack_depthwise(std::span<const std::uint64_t> weights) {
    const std::size_t words = words_for<std::uint32_t>(in_), taps = window_.taps();
    weights_.resize(taps * words);
    for (std::size_t o = 0; o < out_; ++o)
      for (std::size_t tap = 0; tap < taps; ++tap)
        weights_[tap * words + o / 32] |= static_cast<std::uint32_t>(weights[o * taps + tap] & 1U) << (o % 32);
  }
  /// bits_[(ky*kw + kx)*out + o]: 1-bits of tap kx of filter o in the rows above ky.
  void count_bits(std::span<const std::uint64_t> weights) {
    const std::size_t kw = window_.kernel[1], taps = window_.taps(), words = weights.size() / out_ / taps;
    bits_.resize((taps + kw) * out_);
    for (std::size_t tap = 0; tap < taps; ++tap)
      for (std::size_t o = 0; o < out_; ++o) {
        std::int32_t count = bits_[tap * out_ + o];
        for (const std::uint64_t word : weights.subspan((o * taps + tap) * words, words)) count += std::popcount(word);
        bits_[(tap + kw) * out_ + o] = count;
      }
  }

  void sum(PackedRows& rows, const Row& row, std::size_t x, std::size_t pixels, const TapRange& taps) const noexcept {
    const WindowStretches& stretches = rows.stretches();
    for (std::size_t g = 0; g < groups_; ++g) {
      std::size_t count = 0;
      for (std::size_t ky = row.inside.first; ky < row.inside.end; ++ky)
        packing_.for_each_word(rows.row(stretches.rows().position(row.y, ky)), stretches.columns(), g, x, taps,
                               [&](std::size_t index, const std::uint32_t* plane) {
                                 row.list[count++] = {plane, ky * packing_.words() + index};
                               });
      table_->binary_gemm(
          {row.list, count, filter_words(), weights_.data() + g * weights_of_group(), blocks_, (pixels + unit_ - 1) / unit_, unit_,
           group_out(), unit_ * stride(), row.target ? row.target + x * out_ + g * group_out() : nullptr, unit_ * out_},
          row.sums + g * group_out());
    }
  }

  /// Corrects and finishes the sums of pixels x to end - 1, which start in `stretch`; returns the stretch of the next pixel.
  template <class Finish>
  const ColumnStretch* finish_piece(const ColumnStretch* stretch, const Row& row, std::size_t x, std::size_t end,
                                    Finish& finish) const noexcept {
    const auto done = [&](std::size_t from, std::size_t to, std::int32_t valid) {
      finish(from, to - from, valid, static_cast<const std::int32_t*>(row.sums + (from - x) * stride()), stride());
    };
    std::size_t from = x;
    std::int32_t valid = 0;
    const std::size_t tap_pairs = group_channels() * row.inside.count();  // of a column of taps
    const auto all_columns = static_cast<std::int32_t>(tap_pairs * window_.kernel[1]);
    for (std::size_t p = x; p < end; p = (std::min)(stretch->end, end), stretch += p == stretch->end) {
      const std::size_t missing = tap_pairs * (window_.kernel[1] - stretch->inside.count());
      const bool corrects = stretch->computed != stretch->inside;  // else the columns outside were left out
      const std::int32_t now = all_columns - static_cast<std::int32_t>(corrects ? missing % 2 : missing);
      if (p > x && now != valid) done(from, p, valid), from = p;
      valid = now;
      if (corrects) correct(*stretch, row, missing / 2, (std::min)(stretch->end, end) - p, row.sums + (p - x) * stride());
    }
    done(from, end, valid);
    return stretch;
  }
  /// Takes the columns outside away and adds `shift`, half the pairs that `valid` counts too many.
  void correct(const ColumnStretch& stretch, const Row& row, std::size_t shift, std::size_t pixels,
               std::int32_t* sums) const noexcept {
    const std::size_t kw = window_.kernel[1];
    for (std::size_t p = 0; p < pixels; ++p, sums += stride()) {
      auto add = static_cast<std::int32_t>(shift);
      for (std::size_t kx = stretch.computed.first; kx < stretch.computed.end; ++kx) {
        if (stretch.inside.first <= kx && kx < stretch.inside.end) continue;
        const std::int32_t* above = bits_.data() + (row.inside.first * kw + kx) * out_;
        const std::int32_t* to_end = bits_.data() + (row.inside.end * kw + kx) * out_;
        table_->correct_counts(sums, out_, add, above, to_end);
        add = 0;
      }
    }
  }

  template <class Finish>
  void depthwise_row(PackedRows& rows, std::size_t y, Scratch scratch, Finish& finish) const noexcept {
    const WindowStretches& stretches = rows.stretches();
    auto* taps = scratch.take<kernels::Tap<std::uint32_t>>(stretches.max_taps());
    auto* sums = scratch.take<std::int32_t>((longest_stretch() + unit_) * stride());
    const std::size_t words = words_for<std::uint32_t>(in_);
    stretches.for_each_stretch(longest_stretch(), [&](std::size_t x, std::size_t pixels) {
      const std::size_t count = stretches.taps(y, x, rows.map(), words, taps);
      table_->binary_depthwise({taps, count, words, stretches.columns().stride * words, pixels, weights_.data()}, sums);
      finish(x, pixels, static_cast<std::int32_t>(count), static_cast<const std::int32_t*>(sums), stride());
    });
  }

  const kernels::KernelTable* table_;
  Window window_;
  std::size_t groups_, in_, out_;
  std::string_view where_;  // a literal of the op
  RowPacking packing_;
  bool depthwise_ = false;
  std::size_t unit_ = 1, longest_stretch_ = 0;
  std::size_t blocks_ = 0;  // of a group's unit
  AlignedVector<std::uint32_t> weights_;
  AlignedVector<std::int32_t> bits_;
};

}  // namespace bimtdp::ops
