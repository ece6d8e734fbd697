// SPDX-License-Identifier: Apache-2.0
// PackedRows: the packed input rows of one map that the output rows at work need, on one thread; never the whole map.
#pragma once

#include <bimtdp/ops/row_packing.hpp>
#include <bimtdp/ops/workspace.hpp>

#include <limits>

namespace bimtdp::ops {

/// Neighbouring output pixels that see the same taps. `computed` includes them; what the others add is taken away afterwards.
struct ColumnStretch {
  std::size_t begin = 0, end = 0;
  TapRange inside{}, computed{};
};

class PackedRows {
 public:
  PackedRows() = default;
  /// `packing` is null where only the map is needed.
  [[nodiscard]] static std::size_t bytes(const RowPacking* packing, const WindowStretches& stretches) noexcept {
    if (!packing) return 0;
    return scratch_size<ColumnStretch>(most_stretches(stretches)) + scratch_size<std::size_t>(slot_count(stretches)) +
           scratch_size<std::uint32_t>(slot_count(stretches) * packing->row_size(stretches.columns()));
  }
  /// `map`: the input, `step` 32-bit words a pixel; takes bytes() of `scratch`.
  PackedRows(const RowPacking* packing, const WindowStretches& stretches, const std::uint32_t* map, std::size_t step,
             Scratch& scratch) noexcept
      : packing_(packing), stretches_(&stretches), map_(map), step_(step) {
    if (!packing) return;
    slots_ = slot_count(stretches), row_size_ = packing->row_size(stretches.columns());
    column_stretches_ = scratch.take<ColumnStretch>(most_stretches(stretches));
    held_ = scratch.take<std::size_t>(slots_);
    rows_ = scratch.take<std::uint32_t>(slots_ * row_size_);
    std::fill_n(held_, slots_, none);
    find_stretches();
  }

  [[nodiscard]] const WindowStretches& stretches() const noexcept { return *stretches_; }
  [[nodiscard]] const std::uint32_t* map() const noexcept { return map_; }
  [[nodiscard]] std::span<const ColumnStretch> column_stretches() const noexcept {
    return {column_stretches_, column_stretch_count_};
  }

  /// Input row y, packed. The rows that one output row needs are held together.
  [[nodiscard]] const std::uint32_t* row(std::size_t y) noexcept {
    const std::size_t slot = y / stretches_->rows().dilation % slots_;
    std::uint32_t* packed = rows_ + slot * row_size_;
    if (held_[slot] != y) {
      packing_->pack(map_ + y * stretches_->columns().input * step_, step_, stretches_->columns(), packed);
      held_[slot] = y;
    }
    return packed;
  }

 private:
  static constexpr std::size_t none = (std::numeric_limits<std::size_t>::max)();
  static constexpr std::size_t worth_a_stretch = 8;  // pixels: shorter stretches compute all taps, together with their neighbours

  [[nodiscard]] static std::size_t slot_count(const WindowStretches& stretches) noexcept {
    return (std::min)(stretches.rows().kernel, (stretches.rows().input - 1) / stretches.rows().dilation + 1);
  }
  [[nodiscard]] static std::size_t most_stretches(const WindowStretches& stretches) noexcept {
    return (std::min)(stretches.columns().output, 2 * stretches.columns().kernel + 1);
  }

  void find_stretches() noexcept {
    const WindowAxis& axis = stretches_->columns();
    const TapRange all{0, axis.kernel};
    const std::size_t reach = axis.dilation * (axis.kernel - 1), limit = axis.before + axis.input;
    const std::size_t full_begin = axis.before == 0 ? 0 : (axis.before + axis.stride - 1) / axis.stride;
    const std::size_t full_end = reach >= limit ? 0 : (std::min)(axis.output, (limit - reach - 1) / axis.stride + 1);
    for (std::size_t x = 0; x < axis.output;) {
      const bool full = full_begin <= x && x < full_end;
      ColumnStretch stretch{x, full ? full_end : x + 1, full ? all : taps_inside(axis, x), all};
      if (!full)
        while (stretch.end < axis.output && stretch.end != full_begin && taps_inside(axis, stretch.end) == stretch.inside)
          ++stretch.end;
      if (packing_->apart() && stretch.end - stretch.begin >= worth_a_stretch) stretch.computed = stretch.inside;
      column_stretches_[column_stretch_count_++] = stretch;
      x = stretch.end;
    }
  }

  const RowPacking* packing_ = nullptr;
  const WindowStretches* stretches_ = nullptr;
  const std::uint32_t* map_ = nullptr;
  std::size_t step_ = 0, slots_ = 0, row_size_ = 0;
  ColumnStretch* column_stretches_ = nullptr;
  std::size_t column_stretch_count_ = 0;
  std::size_t* held_ = nullptr;  // the input row in each slot
  std::uint32_t* rows_ = nullptr;
};

}  // namespace bimtdp::ops
