// SPDX-License-Identifier: Apache-2.0
// Convolutions: float and binary.
#pragma once

#include <bimtdp/graph/nodes/contract.hpp>
#include <bimtdp/ops/binary_conv2d.hpp>
#include <bimtdp/ops/conv2d.hpp>

namespace bimtdp {

using ops::BinaryOutput;

/// Float convolution. Inputs: x[, residual]. Weight F32 [out][kernel][kernel][in/groups]; epilogue of kernels/table.hpp.
struct Conv2dNode {
  static constexpr std::string_view op = "conv2d";
  Window window{};
  std::size_t groups = 1;
  WeightName weight{}, scale{}, bias{};
  ActivationSpec activation{};
};

/// Binary convolution. Inputs: bits[, residual]. Weight U64 [out][kernel][kernel][ceil(in/groups/64)].
/// integer: the dot products; floats: the whole epilogue; bits: alpha, scale and bias, then the sign. At most 65536 taps.
struct BinaryConv2dNode {
  static constexpr std::string_view op = "binary_conv2d";
  Window window{};
  std::size_t groups = 1;
  WeightName weight{};
  BinaryOutput output = BinaryOutput::floats;
  WeightName alpha{}, scale{}, bias{};
  ActivationSpec activation{};
};

inline constexpr Names<BinaryOutput, 3> binary_output_names{
    {{"integer", BinaryOutput::integer}, {"float", BinaryOutput::floats}, {"bits", BinaryOutput::bits}}};

/// What both convolutions have in common. Input 1 is the residual.
struct ConvolutionNode {
  static constexpr bool by_rows = true;
  static Shape shape(const auto& n, const NodeShapes& s) { return s.windowed(n.window); }
  /// A 1x1 window needs the same row alone; a larger one any: neighbouring rows share most of what they read.
  static RowUse row_use(const auto& n, std::size_t input, std::span<const Shape>) {
    const Window& w = n.window;
    const bool one_to_one = w.taps() == 1 && w.stride[0] == 1 && w.stride[1] == 1 && w.padding == Padding{};
    return input > 0 || one_to_one ? RowUse::same : RowUse::whole;
  }
  static Checked work(const auto& n, std::span<const Shape> in, const Shape&) {
    return Checked(n.window.kernel[0]) * n.window.kernel[1] * (in[0].channels / n.groups);
  }
  static std::optional<std::size_t> overwrites(const auto&, std::size_t inputs) {
    return inputs > 1 ? std::optional<std::size_t>(1) : std::nullopt;
  }
  static bool writes_strided(const auto&) { return false; }
  static std::size_t scratch_bytes(const auto& op, std::span<const Shape> in, const Shape&) { return op.scratch_bytes(in[0]); }
};

template <>
struct NodeTraits<Conv2dNode> : ConvolutionNode {
  using Op = ops::Conv2d;
  static constexpr WorkUnit work_unit = WorkUnit::macs;
  static void fields(auto& a, auto& n) {
    a.window(n.window);
    a.integer("groups", n.groups);
    a.weight("weight", n.weight);
    a.optional_weight("scale", n.scale);
    a.optional_weight("bias", n.bias);
    a.optional_activation(n.activation);
  }
  static ValueInfo validate(const Conv2dNode& n, const NodeCheck& c) {
    c.inputs_between(1, 2);
    c.input_type(0, ValueType::floats);
    const std::size_t in = c.input(0).channels, out = c.output_channels("weight", n.weight);
    ops::check_convolution(n.window, n.groups, in, out, c.where());
    c.floats("weight", n.weight, {out, n.window.kernel[0], n.window.kernel[1], in / n.groups});
    c.count_idle_lanes(n.weight, n.groups, in, out);
    c.epilogue({}, n.scale, n.bias, out);
    c.activation(n.activation, out);
    c.residual(out);
    return {ValueType::floats, out};
  }
  static Op prepare(const Conv2dNode& n, const NodePreparation& p) {
    const ops::EpilogueParameters epilogue{{}, p.floats(n.scale), p.floats(n.bias), p.activation(n.activation)};
    return {p.kernels, {n.window, n.groups, p.in, p.out, p.floats(n.weight), epilogue}};
  }
  static void run(const Op& op, const NodeRows& r) {
    op.run_rows(r.floats(), r.first_row, r.out().floats(), r.workspace, r.residual());
  }
};

template <>
struct NodeTraits<BinaryConv2dNode> : ConvolutionNode {
  using Op = ops::BinaryConv2d;
  static constexpr WorkUnit work_unit = WorkUnit::bit_pairs;
  static void fields(auto& a, auto& n) {
    a.window(n.window);
    a.integer("groups", n.groups);
    a.weight("weight", n.weight);
    a.choice("output", n.output, binary_output_names);
    a.optional_weight("alpha", n.alpha);
    a.optional_weight("scale", n.scale);
    a.optional_weight("bias", n.bias);
    a.optional_activation(n.activation);
  }
  static ValueInfo validate(const BinaryConv2dNode& n, const NodeCheck& c) {
    c.inputs_between(1, n.output == BinaryOutput::floats ? 2 : 1);
    c.input_type(0, ValueType::bits);
    const std::size_t in = c.input(0).channels, out = c.output_channels("weight", n.weight);
    ops::BinaryCounts::check_geometry(n.window, n.groups, in, out, c.where());
    c.signs("weight", n.weight, out, n.window.kernel, in / n.groups);
    c.count_idle_lanes(n.weight, n.groups, in, out);
    const bool activated = n.activation.kind != kernels::ActivationKind::none;
    c.demand(n.output == BinaryOutput::floats || !activated, "activation belongs to the float output (got one, expected none)");
    const bool affine = !n.alpha.empty() || !n.scale.empty() || !n.bias.empty();
    c.demand(n.output != BinaryOutput::integer || !affine,
             "alpha, scale and bias belong to the other outputs (got one of them, expected none)");
    c.epilogue(n.alpha, n.scale, n.bias, out);
    c.activation(n.activation, out);
    c.residual(out);
    return {value_type(n.output), out};
  }
  static Op prepare(const BinaryConv2dNode& n, const NodePreparation& p) {
    const ops::EpilogueParameters epilogue{p.floats(n.alpha), p.floats(n.scale), p.floats(n.bias), p.activation(n.activation)};
    return {p.kernels, {n.window, n.groups, p.in, p.out, p.weights.words(n.weight), epilogue}, n.output};
  }
  static void run(const Op& op, const NodeRows& r) {
    const ValueRef& out = r.out();
    if (out.type == ValueType::integers) return op.run_rows(r.bits(), r.first_row, out.integers(), r.workspace);
    if (out.type == ValueType::bits) return op.run_rows(r.bits(), r.first_row, out.bits(), r.workspace);
    op.run_rows(r.bits(), r.first_row, out.floats(), r.workspace, r.residual());
  }

 private:
  static ValueType value_type(BinaryOutput output) {
    if (output == BinaryOutput::integer) return ValueType::integers;
    return output == BinaryOutput::bits ? ValueType::bits : ValueType::floats;
  }
};

}  // namespace bimtdp
