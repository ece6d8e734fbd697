// SPDX-License-Identifier: Apache-2.0
// WindowSums: the sums of a convolution, row by row, for any window and groups; binary and float layers share it.
// A group's channels are a dense GEMM; one channel a group is the depthwise kernel; sums come in pieces that stay in L1.
#pragma once

#include <bimtdp/core/aligned.hpp>
#include <bimtdp/core/bit_tensor.hpp>
#include <bimtdp/core/checked.hpp>
#include <bimtdp/ops/execution.hpp>
#include <bimtdp/ops/window_runs.hpp>

namespace bimtdp::ops {

struct FloatSums {
  using Value = float;
  using Sum = float;
  static constexpr std::size_t channels_per_value = 1;
  static std::size_t lanes(const kernels::KernelTable& t) noexcept { return t.float_lanes; }
  static void gemm(const kernels::KernelTable& t, const kernels::Gemm<Value>& g, Sum* sums) noexcept { t.float_gemm(g, sums); }
  static void depthwise(const kernels::KernelTable& t, const kernels::Depthwise<Value>& d, Sum* sums) noexcept {
    t.float_depthwise(d, sums);
  }
};

template <class Kind>
class WindowSums {
 public:
  using Value = typename Kind::Value;
  using Sum = typename Kind::Sum;
  static constexpr std::size_t max_depthwise_taps = std::size_t{1} << 16;

  /// A map as the kernels read it: group g starts `group_stride` values behind group g-1.
  struct Source {
    const Value* data = nullptr;
    std::size_t pixel_stride = 0;
    std::size_t group_stride = 0;
  };

  WindowSums(const kernels::KernelTable& table, const Window& window, std::size_t groups, std::size_t in_channels,
             std::size_t out_channels, std::string_view where)
      : table_(&table), window_(window), groups_(groups), in_(in_channels), out_(out_channels), where_(where) {
    check(groups > 0 && in_channels > 0 && out_channels > 0, where, "groups and channels must be positive");
    check(in_channels <= max_extent && out_channels <= max_extent, where, "channels (got ", in_channels, " and ", out_channels,
          ", expected at most ", max_extent, ")");
    check(in_channels % groups == 0 && out_channels % groups == 0, where, "channels ", in_channels, " and ", out_channels,
          " are not multiples of ", groups, " groups");
    check(window.kernel[0] > 0 && window.kernel[1] > 0 && window.kernel[0] <= max_extent && window.kernel[1] <= max_extent, where,
          "kernel (got ", window.kernel[0], "x", window.kernel[1], ", expected 1 to ", max_extent, ")");
    depthwise_ = groups > 1 && groups == in_channels && groups == out_channels && window.taps() <= max_depthwise_taps;
    depth_ = values_for(depthwise_ ? in_ : group_channels());
    blocks_ = depthwise_ ? 1 : (out_ / groups_ + Kind::lanes(table) - 1) / Kind::lanes(table);
  }

  [[nodiscard]] std::size_t group_channels() const noexcept { return in_ / groups_; }
  [[nodiscard]] std::size_t out_channels() const noexcept { return out_; }
  [[nodiscard]] const kernels::KernelTable& table() const noexcept { return *table_; }

  /// Packs the weights. weight(out channel, tap, k): value k of a tap; depthwise_weight(tap, k): values of all channels.
  template <class Weight, class DepthwiseWeight>
  void pack(Weight&& weight, DepthwiseWeight&& depthwise_weight) {
    const std::size_t taps = window_.taps();
    if (depthwise_) {
      weights_.resize(taps * depth_);
      for (std::size_t i = 0; i < weights_.size(); ++i) weights_[i] = depthwise_weight(i / depth_, i % depth_);
      return;
    }
    const std::size_t lanes = Kind::lanes(*table_), group_out = out_ / groups_;
    weights_.resize((Checked(groups_) * blocks_ * taps * depth_ * lanes).size());
    for (std::size_t o = 0; o < out_; ++o) {
      const std::size_t channel = o % group_out, block = o / group_out * blocks_ + channel / lanes;
      for (std::size_t tap = 0; tap < taps; ++tap)
        for (std::size_t k = 0; k < depth_; ++k)
          weights_[((block * taps + tap) * depth_ + k) * lanes + channel % lanes] = weight(o, tap, k);
    }
  }

  [[nodiscard]] WindowRuns runs(const Shape& input) const {
    check_equal(input.channels, in_, where_, "input channels");
    check(input.elements() > 0, where_, "empty input ", input);
    return WindowRuns(input, window_, where_);
  }

  [[nodiscard]] ScratchNeed scratch(const WindowRuns& runs) const {
    ScratchNeed need;
    if (extracts()) need.shared = scratch_size<Value>(runs.rows().input * runs.columns().input * groups_ * depth_);
    need.each = scratch_size<kernels::Tap<Value>>(runs.max_taps()) + scratch_size<Sum>(longest_run() * stride());
    if (merges()) need.each += scratch_size<Sum>(longest_run() * group_stride());
    return need;
  }

  /// Makes `in` readable for row(); where groups do not start at whole values it copies them into execution.scratch.
  [[nodiscard]] Source source(const Value* in, const WindowRuns& runs, const Execution& execution) const noexcept {
    const std::size_t in_stride = values_for(in_);
    if (!extracts()) return {in, in_stride, group_channels() / Kind::channels_per_value};
    if constexpr (Kind::channels_per_value > 1) {
      const std::size_t width = runs.columns().input, pixels = runs.rows().input * width;
      Value* copy = Scratch(execution.scratch).take<Value>(pixels * groups_ * depth_);
      for_each_part(execution, runs.rows().input, {}, [&](std::size_t begin, std::size_t end, const Scratch&) {
        for (std::size_t g = 0; g < groups_; ++g)
          for (std::size_t p = begin * width; p < end * width; ++p) {
            Value* to = copy + (g * pixels + p) * depth_;
            to[depth_ - 1] = 0;  // tail bits
            copy_bits(in + p * in_stride, g * group_channels(), group_channels(), to, 0);
          }
      });
      return {copy, depth_, pixels * depth_};
    }
    return {};
  }

  /// Calls finish(first pixel, pixels, taps inside, sums, stride) for the runs of output row y; sum of pixel p, channel c at
  /// sums[p*stride + c].
  template <class Finish>
  void row(const Source& source, const WindowRuns& runs, std::size_t y, Scratch scratch, Finish&& finish) const noexcept {
    kernels::Tap<Value>* taps = scratch.take<kernels::Tap<Value>>(runs.max_taps());
    Sum* sums = scratch.take<Sum>(longest_run() * stride());
    Sum* group_sums = merges() ? scratch.take<Sum>(longest_run() * group_stride()) : nullptr;
    const std::size_t step = runs.columns().stride * source.pixel_stride;
    runs.for_each_run(longest_run(), [&](std::size_t x, std::size_t pixels) {
      const std::size_t count = runs.taps(y, x, source.data, source.pixel_stride, taps);
      if (depthwise_) {
        Kind::depthwise(*table_, {taps, count, depth_, step, pixels, weights_.data()}, sums);
      } else if (groups_ == 1) {
        Kind::gemm(*table_, gemm(taps, count, step, pixels, 0), sums);
      } else {
        for (std::size_t g = 0; g < groups_; ++g) {
          Kind::gemm(*table_, gemm(taps, count, step, pixels, g), group_sums);
          merge(group_sums, pixels, g, sums);
          for (std::size_t t = 0; t < count; ++t) taps[t].pixel += source.group_stride;
        }
      }
      finish(x, pixels, count, static_cast<const Sum*>(sums), stride());
    });
  }

 private:
  [[nodiscard]] static std::size_t values_for(std::size_t channels) noexcept {
    return (channels + Kind::channels_per_value - 1) / Kind::channels_per_value;
  }
  [[nodiscard]] bool merges() const noexcept { return groups_ > 1 && !depthwise_; }
  [[nodiscard]] bool extracts() const noexcept { return merges() && group_channels() % Kind::channels_per_value != 0; }
  /// Values between the sums of neighbouring pixels, of one group and of all.
  [[nodiscard]] std::size_t group_stride() const noexcept { return blocks_ * Kind::lanes(*table_); }
  [[nodiscard]] std::size_t stride() const noexcept {
    return depthwise_ ? depth_ * Kind::channels_per_value : groups_ == 1 ? group_stride() : out_;
  }
  /// Pixels a piece: about 16 KiB of sums, a multiple of 8 for the tiles.
  [[nodiscard]] std::size_t longest_run() const noexcept { return std::clamp<std::size_t>(4096 / stride() / 8 * 8, 8, 128); }

  [[nodiscard]] kernels::Gemm<Value> gemm(const kernels::Tap<Value>* taps, std::size_t count, std::size_t step, std::size_t pixels,
                                          std::size_t group) const noexcept {
    const std::size_t kernel_taps = window_.taps();
    const Value* weights = weights_.data() + group * blocks_ * kernel_taps * depth_ * Kind::lanes(*table_);
    return {taps, count, kernel_taps, depth_, step, pixels, weights, blocks_};
  }
  void merge(const Sum* group_sums, std::size_t pixels, std::size_t group, Sum* sums) const noexcept {
    const std::size_t channels = out_ / groups_;
    for (std::size_t p = 0; p < pixels; ++p)
      std::copy_n(group_sums + p * group_stride(), channels, sums + p * out_ + group * channels);
  }

  const kernels::KernelTable* table_;
  Window window_;
  std::size_t groups_, in_, out_;
  std::string_view where_;  // a literal of the op
  bool depthwise_ = false;
  std::size_t depth_ = 0;   // values of a tap
  std::size_t blocks_ = 0;  // blocks of a group
  AlignedVector<Value> weights_;
};

}  // namespace bimtdp::ops
