// SPDX-License-Identifier: Apache-2.0
// Float convolution with groups. Taps outside the image are skipped; sums run over the taps in order, then their channels.
#pragma once

#include <bimtdp/core/checked.hpp>
#include <bimtdp/core/tensor.hpp>
#include <bimtdp/kernels/select.hpp>
#include <bimtdp/ops/epilogue.hpp>
#include <bimtdp/ops/window_stretches.hpp>
#include <bimtdp/ops/workspace.hpp>

namespace bimtdp::ops {

struct Conv2dParameters {
  Window window{};
  std::size_t groups = 1;
  std::size_t in_channels = 0;
  std::size_t out_channels = 0;
  std::span<const float> weights{};  ///< [out][kh][kw][in/groups]
  EpilogueParameters epilogue{};
};

class Conv2d {
 public:
  /// Throws Error for parameters that do not fit together or non-finite values.
  Conv2d(const kernels::KernelTable& kernels, const Conv2dParameters& p, std::string_view where = "conv2d")
      : where_(where),
        table_(&kernels),
        window_(p.window),
        groups_(p.groups),
        in_(p.in_channels),
        out_(p.out_channels),
        depthwise_(p.groups > 1 && p.groups == p.in_channels && p.groups == p.out_channels) {
    check_convolution(window_, groups_, in_, out_, where);
    check_equal(p.weights.size(), (Checked(out_) * window_.taps() * (in_ / groups_)).size(), where, "weights");
    for (const float weight : p.weights) demand(std::isfinite(weight), where, "weights hold ", weight);
    epilogue_ = PreparedEpilogue(p.epilogue, out_, where);
    if (depthwise_) {
      pack_depthwise(p.weights);
    } else {
      pack(p.weights);
    }
  }

  [[nodiscard]] Shape output_shape(const Shape& input) const { return stretches(input).output(out_); }
  [[nodiscard]] std::size_t scratch_bytes(const Shape& input) const { return need(stretches(input)); }

  /// workspace.kernels must be the table of the constructor. `residual` is added before the activation; it has the shape of
  /// `out`, or null data where there is none.
  void run(const TensorView<const float>& in, const TensorView<float>& out, const Workspace& workspace,
           const TensorView<const float>& residual = {}) const {
    const WindowStretches window_stretches = stretches(in.shape);
    check_equal(out.shape, window_stretches.output(out_), where_, "output shape");
    run_part(in, window_stretches, 0, out, workspace, residual);
  }

  /// Output rows first_row, first_row + 1, ...: `out` and `residual` hold these rows alone, `in` is the whole map.
  void run_rows(const TensorView<const float>& in, std::size_t first_row, const TensorView<float>& out, const Workspace& workspace,
                const TensorView<const float>& residual = {}) const {
    const WindowStretches window_stretches = stretches(in.shape);
    check_rows(out.shape, first_row, window_stretches.output(out_), where_);
    run_part(in, window_stretches, first_row, out, workspace, residual);
  }

 private:
  static constexpr std::size_t cached = 65536;  // floats of the input that fit well into the L2 cache

  void pack(std::span<const float> weights) {
    const std::size_t lanes = table_->float_lanes, group_out = out_ / groups_, each = window_.taps() * (in_ / groups_);
    const std::size_t blocks = (group_out + lanes - 1) / lanes;
    weights_.resize((Checked(groups_) * blocks * each * lanes).size());
    for (std::size_t o = 0; o < out_; ++o) {
      const std::size_t channel = o % group_out, block = o / group_out * blocks + channel / lanes;
      for (std::size_t i = 0; i < each; ++i) weights_[(block * each + i) * lanes + channel % lanes] = weights[o * each + i];
    }
  }
  void pack_depthwise(std::span<const float> weights) {
    const std::size_t taps = window_.taps();
    weights_.resize(taps * out_);
    for (std::size_t i = 0; i < weights_.size(); ++i) weights_[i] = weights[i % out_ * taps + i / out_];
  }

  [[nodiscard]] WindowStretches stretches(const Shape& input) const {
    check_equal(input.channels, in_, where_, "input channels");
    demand(input.elements() > 0, where_, "empty input ", input);
    return WindowStretches(input, window_, where_);
  }
  [[nodiscard]] static std::size_t need(const WindowStretches& stretches) {
    return scratch_size<kernels::Tap<float>>(stretches.max_taps());
  }

  void run_part(const TensorView<const float>& in, const WindowStretches& stretches, std::size_t first_row,
                const TensorView<float>& out, const Workspace& workspace, const TensorView<const float>& residual) const {
    if (residual.data) check_equal(residual.shape, out.shape, where_, "residual shape");
    check_workspace(workspace, need(stretches), where_);
    demand(workspace.kernels == table_, where_, "weights were packed for other kernels");
    const std::size_t most_rows = std::max<std::size_t>(cached / (stretches.rows().stride * in.shape.width * in_), 1);
    auto* taps = Scratch(workspace.scratch).take<kernels::Tap<float>>(stretches.max_taps());
    stretches.for_each_rectangle(first_row, first_row + out.shape.height, most_rows, [&](const Rectangle& r) {
      const std::size_t at = ((r.y - first_row) * out.shape.width + r.x) * out_;
      rectangle(conv(in, stretches, r, taps), taps, residual.data ? residual.data + at : nullptr, out.data + at);
    });
  }

  /// What the kernel needs for the output pixels of `r`.
  [[nodiscard]] kernels::Conv conv(const TensorView<const float>& in, const WindowStretches& stretches, const Rectangle& r,
                                   kernels::Tap<float>* taps) const noexcept {
    kernels::Conv c;
    c.depth = depthwise_ ? in_ : in_ / groups_;
    c.taps = taps;
    c.tap_count = stretches.taps(r.y, r.x, in.data, in_, taps);
    c.length = c.depth * join_neighbours(taps, c.tap_count, c.depth);
    c.kernel_taps = window_.taps();
    c.channels = depthwise_ ? out_ : out_ / groups_;
    c.pixels = r.columns, c.pixel_step = stretches.columns().stride * in_, c.out_step = out_;
    c.rows = r.rows, c.row_step = stretches.rows().stride * in.shape.width * in_,
    c.out_row_step = stretches.columns().output * out_;
    if (c.pixels * c.pixel_step == c.row_step && c.pixels * out_ == c.out_row_step) c.pixels *= c.rows, c.rows = 1;
    if (c.pixels < few && c.pixels < c.rows) {  // the left and right borders: down the column
      std::swap(c.pixels, c.rows);
      std::swap(c.pixel_step, c.row_step);
      std::swap(c.out_step, c.out_row_step);
    }
    return c;
  }

  /// Runs the kernel for each group.
  void rectangle(kernels::Conv c, kernels::Tap<float>* taps, const float* residual, float* out) const noexcept {
    c.weights = weights_.data();
    if (depthwise_) return table_->depthwise_conv2d(c, epilogue_.at(residual), out);
    const std::size_t blocks = (c.channels + table_->float_lanes - 1) / table_->float_lanes;
    for (std::size_t g = 0; g < groups_; ++g) {
      const std::size_t first = g * c.channels;
      table_->conv2d(c, epilogue_.at(residual ? residual + first : nullptr, first), out + first);
      for (std::size_t t = 0; t < c.tap_count; ++t) taps[t].pixel += c.depth;
      c.weights += blocks * c.kernel_taps * c.depth * table_->float_lanes;
    }
  }

  static constexpr std::size_t few = 6;  // pixels, less than a tile

  std::string_view where_;  // a literal
  const kernels::KernelTable* table_;
  Window window_;
  std::size_t groups_, in_, out_;
  bool depthwise_;
  AlignedVector<float> weights_;
  PreparedEpilogue epilogue_;
};

/// One call: prepares the weights, allocates and runs.
[[nodiscard]] inline Tensor<float> conv2d(const TensorView<const float>& in, const Conv2dParameters& parameters,
                                          const kernels::KernelTable& kernels = kernels::active()) {
  const Conv2d conv(kernels, parameters);
  Tensor<float> out(conv.output_shape(in.shape));
  conv.run(in, out, OwnWorkspace(kernels, conv.scratch_bytes(in.shape)));
  return out;
}

}  // namespace bimtdp::ops
