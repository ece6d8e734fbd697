// SPDX-License-Identifier: Apache-2.0
// PackedRows: the packed input rows of one map that the output rows at work need, on one thread; never the whole map.
#pragma once

#include <bimtdp/ops/row_packing.hpp>
#include <bimtdp/ops/workspace.hpp>

#include <limits>

namespace bimtdp::ops {

/// Neighbouring output pixels that see the same taps. `computed` includes them; what the others add is taken away afterwards.
struct ColumnRun {
  std::size_t begin = 0, end = 0;
  TapRange inside{}, computed{};
};

class PackedRows {
 public:
  PackedRows() = default;
  /// `packing` is null where only the map is needed.
  [[nodiscard]] static std::size_t bytes(const RowPacking* packing, const WindowRuns& runs) noexcept {
    if (!packing) return 0;
    return scratch_size<ColumnRun>(most_runs(runs)) + scratch_size<std::size_t>(slots(runs)) +
           scratch_size<std::uint32_t>(slots(runs) * packing->row_size(runs.columns()));
  }
  /// `map`: the input, `step` 32-bit words a pixel; takes bytes() of `scratch`.
  PackedRows(const RowPacking* packing, const WindowRuns& runs, const std::uint32_t* map, std::size_t step,
             Scratch& scratch) noexcept
      : packing_(packing), runs_(&runs), map_(map), step_(step) {
    if (!packing) return;
    slots_ = slots(runs), row_size_ = packing->row_size(runs.columns());
    column_runs_ = scratch.take<ColumnRun>(most_runs(runs));
    held_ = scratch.take<std::size_t>(slots_);
    rows_ = scratch.take<std::uint32_t>(slots_ * row_size_);
    std::fill_n(held_, slots_, none);
    find_runs();
  }

  [[nodiscard]] const WindowRuns& runs() const noexcept { return *runs_; }
  [[nodiscard]] const std::uint32_t* map() const noexcept { return map_; }
  [[nodiscard]] std::span<const ColumnRun> column_runs() const noexcept { return {column_runs_, column_run_count_}; }

  /// Input row y, packed. The rows that one output row needs are held together.
  [[nodiscard]] const std::uint32_t* row(std::size_t y) noexcept {
    const std::size_t slot = y / runs_->rows().dilation % slots_;
    std::uint32_t* packed = rows_ + slot * row_size_;
    if (held_[slot] != y) {
      packing_->pack(map_ + y * runs_->columns().input * step_, step_, runs_->columns(), packed);
      held_[slot] = y;
    }
    return packed;
  }

 private:
  static constexpr std::size_t none = std::numeric_limits<std::size_t>::max();
  static constexpr std::size_t worth_a_run = 8;  // pixels: shorter runs compute all taps, together with their neighbours

  [[nodiscard]] static std::size_t slots(const WindowRuns& runs) noexcept {
    return std::min(runs.rows().kernel, (runs.rows().input - 1) / runs.rows().dilation + 1);
  }
  [[nodiscard]] static std::size_t most_runs(const WindowRuns& runs) noexcept {
    return std::min(runs.columns().output, 2 * runs.columns().kernel + 1);
  }

  void find_runs() noexcept {
    const WindowAxis& axis = runs_->columns();
    const TapRange all{0, axis.kernel};
    const std::size_t reach = axis.dilation * (axis.kernel - 1), limit = axis.before + axis.input;
    const std::size_t full_begin = axis.before == 0 ? 0 : (axis.before + axis.stride - 1) / axis.stride;
    const std::size_t full_end = reach >= limit ? 0 : std::min(axis.output, (limit - reach - 1) / axis.stride + 1);
    for (std::size_t x = 0; x < axis.output;) {
      const bool full = full_begin <= x && x < full_end;
      ColumnRun run{x, full ? full_end : x + 1, full ? all : taps_inside(axis, x), all};
      if (!full)
        while (run.end < axis.output && run.end != full_begin && taps_inside(axis, run.end) == run.inside) ++run.end;
      if (packing_->apart() && run.end - run.begin >= worth_a_run) run.computed = run.inside;
      column_runs_[column_run_count_++] = run;
      x = run.end;
    }
  }

  const RowPacking* packing_ = nullptr;
  const WindowRuns* runs_ = nullptr;
  const std::uint32_t* map_ = nullptr;
  std::size_t step_ = 0, slots_ = 0, row_size_ = 0;
  ColumnRun* column_runs_ = nullptr;
  std::size_t column_run_count_ = 0;
  std::size_t* held_ = nullptr;  // the input row in each slot
  std::uint32_t* rows_ = nullptr;
};

}  // namespace bimtdp::ops
