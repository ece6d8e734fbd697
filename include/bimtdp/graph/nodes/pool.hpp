// SPDX-License-Identifier: Apache-2.0
// Pooling.
#pragma once

#include <bimtdp/graph/nodes/contract.hpp>
#include <bimtdp/ops/pool.hpp>

namespace bimtdp {

/// Maximum over the taps of a window, on floats or on bits.
struct MaxPool2dNode {
  static constexpr std::string_view op = "max_pool2d";
  Window window{};
};

/// Average over a window; with count_include_pad the padding counts as zeros, else not at all.
struct AvgPool2dNode {
  static constexpr std::string_view op = "avg_pool2d";
  std::array<std::size_t, 2> kernel{2, 2}, stride{2, 2};
  Padding padding{};
  bool count_include_pad = true;

  [[nodiscard]] Window window() const { return {.kernel = kernel, .stride = stride, .padding = padding}; }
};

/// Average over the bins that cut the map into size[0] x size[1], as PyTorch cuts it.
struct AdaptiveAvgPool2dNode {
  static constexpr std::string_view op = "adaptive_avg_pool2d";
  std::array<std::size_t, 2> size{1, 1};
};

/// What pools with a window have in common.
struct WindowPoolNode : OwnMemory {
  static constexpr bool by_rows = true;
  static constexpr WorkUnit work_unit = WorkUnit::bytes;
  static std::size_t scratch_bytes(const auto& op, std::span<const Shape> in, const Shape&) { return op.scratch_bytes(in[0]); }

 protected:
  /// Windows that lie side by side need nothing of their neighbours.
  static RowUse row_use_of(const Window& w, const Shape& in) {
    const bool apart = w.kernel == w.stride && w.dilation[0] == 1 && w.padding == Padding{} && in.height % w.stride[0] == 0;
    return apart ? RowUse::same : RowUse::whole;
  }
};

template <>
struct NodeTraits<MaxPool2dNode> : WindowPoolNode {
  using Op = ops::MaxPool2d;
  static void fields(auto& a, auto& n) { a.window(n.window); }
  static ValueInfo validate(const MaxPool2dNode& n, const NodeCheck& c) {
    c.inputs_between(1, 1);
    c.float_or_bits(0);
    ops::check_window(n.window, c.where());
    return c.input(0);
  }
  static Shape shape(const MaxPool2dNode& n, const NodeShapes& s) { return ops::pool_shape(s.in[0], n.window, s.where); }
  static RowUse row_use(const MaxPool2dNode& n, std::size_t, std::span<const Shape> in) { return row_use_of(n.window, in[0]); }
  static Checked work(const MaxPool2dNode& n, std::span<const Shape>, const Shape&) {
    return Checked(n.window.kernel[0]) * n.window.kernel[1];
  }
  static Op prepare(const MaxPool2dNode& n, const NodePreparation&) { return Op(n.window); }
  static void run(const Op& op, const NodeRows& r) {
    r.as_either([&](const auto& in, const auto& out) { op.run_rows(in, r.first_row, out, r.workspace); });
  }
};

template <>
struct NodeTraits<AvgPool2dNode> : WindowPoolNode {
  using Op = ops::AveragePool2d;
  static void fields(auto& a, auto& n) {
    a.pair("kernel", n.kernel);
    a.pair("stride", n.stride);
    a.padding("padding", n.padding);
    a.boolean("count_include_pad", n.count_include_pad);
  }
  static ValueInfo validate(const AvgPool2dNode& n, const NodeCheck& c) {
    (void)c.one_float_input();
    ops::check_window(n.window(), c.where());
    for (const std::size_t side : {n.padding.top, n.padding.bottom}) c.extent("padding", side, 0, n.kernel[0] - 1);
    for (const std::size_t side : {n.padding.left, n.padding.right}) c.extent("padding", side, 0, n.kernel[1] - 1);
    return c.input(0);
  }
  static Shape shape(const AvgPool2dNode& n, const NodeShapes& s) { return ops::pool_shape(s.in[0], n.window(), s.where); }
  static RowUse row_use(const AvgPool2dNode& n, std::size_t, std::span<const Shape> in) { return row_use_of(n.window(), in[0]); }
  static Checked work(const AvgPool2dNode& n, std::span<const Shape>, const Shape&) { return Checked(n.kernel[0]) * n.kernel[1]; }
  static Op prepare(const AvgPool2dNode& n, const NodePreparation&) { return {n.window(), n.count_include_pad}; }
  static void run(const Op& op, const NodeRows& r) { op.run_rows(r.floats(), r.first_row, r.out().floats(), r.workspace); }
};

template <>
struct NodeTraits<AdaptiveAvgPool2dNode> : WholeMapNode {
  using Op = ops::AdaptiveAveragePool2d;
  static constexpr WorkUnit work_unit = WorkUnit::bytes;
  static void fields(auto& a, auto& n) { a.pair("size", n.size); }
  static ValueInfo validate(const AdaptiveAvgPool2dNode& n, const NodeCheck& c) {
    (void)c.one_float_input();
    c.extents("size", n.size);
    return c.input(0);
  }
  static Shape shape(const AdaptiveAvgPool2dNode& n, const NodeShapes& s) { return {n.size[0], n.size[1], s.channels}; }
  /// The pixels of the largest bin.
  static Checked work(const AdaptiveAvgPool2dNode& n, std::span<const Shape> in, const Shape&) {
    return Checked(in[0].height / n.size[0] + 2) * (in[0].width / n.size[1] + 2);
  }
  static Op prepare(const AdaptiveAvgPool2dNode& n, const NodePreparation&) { return {n.size[0], n.size[1]}; }
};

}  // namespace bimtdp
