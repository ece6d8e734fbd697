// SPDX-License-Identifier: Apache-2.0
// Binary convolution. dot = Kv - 2*popcount(activation xor weight); Kv counts the channel pairs of the taps inside the image,
// so zero padding is exact: taps outside contribute nothing.
#pragma once

#include <bimtdp/core/bit_tensor.hpp>
#include <bimtdp/kernels/select.hpp>
#include <bimtdp/ops/binary_counts.hpp>
#include <bimtdp/ops/epilogue.hpp>
#include <bimtdp/ops/thresholds.hpp>
#include <bimtdp/ops/workspace.hpp>

namespace bimtdp::ops {

struct BinaryConv2dParameters {
  Window window{};
  std::size_t groups = 1;
  std::size_t in_channels = 0;
  std::size_t out_channels = 0;
  std::span<const std::uint64_t> weights{};  ///< [out][kh][kw][ceil(in/groups/64)], bit i of word w = channel 64w+i, tail bits 0
  EpilogueParameters epilogue{};             ///< integer output: empty; bit output: no activation
};

/// integer: the dot products. floats: the epilogue of them. bits: the sign of the epilogue, bit = (y >= 0).
enum class BinaryOutput : std::uint8_t { integer, floats, bits };

class BinaryConv2d {
 public:
  using Input = BitView<const std::uint32_t>;

  /// Throws Error for parameters that do not fit together, more than 2^24 pairs a dot product, or non-finite values.
  BinaryConv2d(const kernels::KernelTable& kernels, const BinaryConv2dParameters& p, BinaryOutput output)
      : output_(output),
        counts_(kernels, p.window, p.groups, p.in_channels, p.out_channels, p.weights, where),
        epilogue_(p.epilogue, p.out_channels, where, counts_.unit()) {
    check_tails(p);
    if (output == BinaryOutput::bits) set_thresholds(kernels, counts_.pairs());
    if (output == BinaryOutput::integer) {
      const EpilogueParameters& e = p.epilogue;
      demand(e.alpha.empty() && e.scale.empty() && e.bias.empty() && !epilogue_.has_activation(), where,
             "integer output with an epilogue");
    }
  }

  [[nodiscard]] Shape output_shape(const Shape& input) const { return counts_.stretches(input).output(counts_.out_channels()); }
  [[nodiscard]] std::size_t scratch_bytes(const Shape& input) const { return need(counts_.stretches(input)); }

  /// Each overload belongs to one BinaryOutput. workspace.kernels must be the table of the constructor.
  void run(const Input& in, const TensorView<std::int32_t>& out, const Workspace& workspace) const {
    check_equal(out.shape, output_shape(in.shape), where, "output shape");
    run_part(in, 0, out, workspace);
  }
  /// `residual` is added before the activation; it has the shape of `out` and may be `out`; null data where there is none.
  void run(const Input& in, const TensorView<float>& out, const Workspace& workspace,
           const TensorView<const float>& residual = {}) const {
    check_equal(out.shape, output_shape(in.shape), where, "output shape");
    run_part(in, 0, out, workspace, residual);
  }
  void run(const Input& in, const BitView<std::uint32_t>& out, const Workspace& workspace) const {
    check_equal(out.shape, output_shape(in.shape), where, "output shape");
    run_part(in, 0, out, workspace);
  }

  /// Output rows first_row, first_row + 1, ... out.shape.height of them: `out` and `residual` hold these rows alone, `in` is the
  /// whole map.
  void run_rows(const Input& in, std::size_t first_row, const TensorView<std::int32_t>& out, const Workspace& workspace) const {
    check_rows(out.shape, first_row, output_shape(in.shape), where);
    run_part(in, first_row, out, workspace);
  }
  void run_rows(const Input& in, std::size_t first_row, const TensorView<float>& out, const Workspace& workspace,
                const TensorView<const float>& residual = {}) const {
    check_rows(out.shape, first_row, output_shape(in.shape), where);
    run_part(in, first_row, out, workspace, residual);
  }
  void run_rows(const Input& in, std::size_t first_row, const BitView<std::uint32_t>& out, const Workspace& workspace) const {
    check_rows(out.shape, first_row, output_shape(in.shape), where);
    run_part(in, first_row, out, workspace);
  }

  // -- rows, for ops that are made of several convolutions ----------------------------------------------------------------

  [[nodiscard]] const BinaryCounts& counts() const noexcept { return counts_; }
  /// Output row y as floats; `residual` is the row's first pixel or null. Uses counts().count_bytes() of `scratch`.
  void float_row(PackedRows& rows, std::size_t y, const Scratch& scratch, const float* residual, float* out) const noexcept {
    const std::size_t channels = counts_.out_channels(), unit = counts_.unit();
    counts_.row(rows, y, scratch, out,
                [&](std::size_t x, std::size_t pixels, std::int32_t valid, const std::int32_t* sums, std::size_t stride) {
                  const auto finish = [&](std::size_t first, std::size_t count, std::size_t each) {  // pixels first, ... by `each`
                    const std::size_t at = (x + first) * channels;
                    counts_.table().dot_float(sums + first * stride, each * stride, valid, count, each * channels,
                                              epilogue_.at(residual ? residual + at : nullptr), out + at);
                  };
                  const std::size_t rest = pixels % unit;
                  if (pixels > rest) finish(0, pixels / unit, unit);
                  if (rest > 0) finish(pixels - rest, 1, rest);
                });
  }
  /// Output row y as bits.
  void bit_row(PackedRows& rows, std::size_t y, const Scratch& scratch, std::uint32_t* out) const noexcept {
    const std::size_t channels = counts_.out_channels(), words = words_for<std::uint32_t>(channels);
    counts_.row(rows, y, scratch, nullptr,
                [&](std::size_t x, std::size_t pixels, std::int32_t valid, const std::int32_t* sums, std::size_t stride) {
                  const std::int32_t missing = counts_.pairs() - valid;
                  kernels::Thresholds thresholds = thresholds_[static_cast<std::size_t>(missing % 2)].at(counts_.unit());
                  thresholds.shift = missing / 2;
                  counts_.table().count_bits(sums, stride, pixels, channels, thresholds, out + x * words);
                });
  }

 private:
  static constexpr std::string_view where = "binary_conv2d";

  static void check_tails(const BinaryConv2dParameters& p) {
    const std::size_t channels = p.in_channels / p.groups, words = words_for<std::uint64_t>(channels), used = channels % 64;
    for (std::size_t last = words - 1; used != 0 && last < p.weights.size(); last += words)
      if ((p.weights[last] & ~low_bits<std::uint64_t>(used)) != 0) fail(where, "tail bits of weight word ", last, " are not 0");
  }
  void set_thresholds(const kernels::KernelTable& kernels, std::int32_t pairs) {
    const ThresholdTable dots = find_thresholds(kernels, epilogue_, counts_.out_channels(), pairs, where);
    for (const std::int32_t odd : {0, 1})
      thresholds_[static_cast<std::size_t>(odd)] = count_thresholds(dots, pairs - odd, counts_.unit());
  }
  [[nodiscard]] std::size_t need(const WindowStretches& stretches) const {
    return counts_.row_bytes(stretches) + counts_.count_bytes(stretches);
  }

  void run_part(const Input& in, std::size_t first_row, const TensorView<std::int32_t>& out, const Workspace& workspace) const {
    for_rows(BinaryOutput::integer, in, out.shape.height, workspace, [&](PackedRows& rows, std::size_t y, const Scratch& scratch) {
      counts_.row(rows, first_row + y, scratch, nullptr,
                  [&](std::size_t x, std::size_t pixels, std::int32_t valid, const std::int32_t* sums, std::size_t stride) {
                    counts_.table().dot_integer(sums, stride, valid, pixels, counts_.out_channels(), out.pixel(y, x));
                  });
    });
  }
  void run_part(const Input& in, std::size_t first_row, const TensorView<float>& out, const Workspace& workspace,
                const TensorView<const float>& residual) const {
    if (residual.data) check_equal(residual.shape, out.shape, where, "residual shape");
    for_rows(BinaryOutput::floats, in, out.shape.height, workspace, [&](PackedRows& rows, std::size_t y, const Scratch& scratch) {
      float_row(rows, first_row + y, scratch, residual.data ? residual.pixel(y, 0) : nullptr, out.pixel(y, 0));
    });
  }
  void run_part(const Input& in, std::size_t first_row, const BitView<std::uint32_t>& out, const Workspace& workspace) const {
    for_rows(BinaryOutput::bits, in, out.shape.height, workspace, [&](PackedRows& rows, std::size_t y, const Scratch& scratch) {
      bit_row(rows, first_row + y, scratch, out.pixel(y, 0));
    });
  }

  template <class Row>
  void for_rows(BinaryOutput output, const Input& in, std::size_t rows, const Workspace& workspace, Row&& row) const {
    demand(output == output_, where, "output type is not that of the constructor");
    const WindowStretches stretches = counts_.stretches(in.shape);
    check_workspace(workspace, need(stretches), where);
    demand(workspace.kernels == &counts_.table(), where, "weights were packed for other kernels");
    debug_check_tail(in, where);
    Scratch scratch(workspace.scratch);
    PackedRows packed = counts_.rows(in.data, stretches, scratch);
    for (std::size_t y = 0; y < rows; ++y) row(packed, y, scratch);
  }

  BinaryOutput output_;
  BinaryCounts counts_;
  PreparedEpilogue epilogue_;
  std::array<ThresholdTable, 2> thresholds_{};  // on counts, where all pairs are inside and where one is missing
};

namespace detail {

template <class Out>
[[nodiscard]] Out run_binary_conv2d(const BitView<const std::uint32_t>& in, const BinaryConv2dParameters& parameters,
                                    BinaryOutput output, const kernels::KernelTable& kernels) {
  const BinaryConv2d conv(kernels, parameters, output);
  Out out(conv.output_shape(in.shape));
  conv.run(in, out.view(), OwnWorkspace(kernels, conv.scratch_bytes(in.shape)));
  return out;
}

}  // namespace detail

/// One call each: prepares the weights, allocates and runs.
[[nodiscard]] inline Tensor<std::int32_t> binary_conv2d_integer(const BitView<const std::uint32_t>& in,
                                                                const BinaryConv2dParameters& parameters,
                                                                const kernels::KernelTable& kernels = kernels::active()) {
  return detail::run_binary_conv2d<Tensor<std::int32_t>>(in, parameters, BinaryOutput::integer, kernels);
}
[[nodiscard]] inline Tensor<float> binary_conv2d(const BitView<const std::uint32_t>& in, const BinaryConv2dParameters& parameters,
                                                 const kernels::KernelTable& kernels = kernels::active()) {
  return detail::run_binary_conv2d<Tensor<float>>(in, parameters, BinaryOutput::floats, kernels);
}
[[nodiscard]] inline BitTensor<std::uint32_t> binary_conv2d_bits(const BitView<const std::uint32_t>& in,
                                                                 const BinaryConv2dParameters& parameters,
                                                                 const kernels::KernelTable& kernels = kernels::active()) {
  return detail::run_binary_conv2d<BitTensor<std::uint32_t>>(in, parameters, BinaryOutput::bits, kernels);
}

}  // namespace bimtdp::ops
