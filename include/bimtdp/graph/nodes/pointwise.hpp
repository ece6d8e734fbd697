// SPDX-License-Identifier: Apache-2.0
// What happens to every pixel apart: signs, per-channel maps, activations, sums and products, norms.
#pragma once

#include <bimtdp/graph/nodes/contract.hpp>
#include <bimtdp/ops/activation.hpp>
#include <bimtdp/ops/affine.hpp>
#include <bimtdp/ops/binarize.hpp>
#include <bimtdp/ops/elementwise.hpp>
#include <bimtdp/ops/l2_normalize.hpp>
#include <bimtdp/ops/softmax.hpp>

namespace bimtdp {

/// Signs of a float map: (scale ? fma(x, scale, shift) : x + shift) >= 0.
struct BinarizeNode {
  static constexpr std::string_view op = "binarize";
  WeightName scale{}, shift{};
};

template <>
struct NodeTraits<BinarizeNode> : RowwiseNode {
  using Op = ops::Binarize;
  static void fields(auto& a, auto& n) {
    a.optional_weight("scale", n.scale);
    a.optional_weight("shift", n.shift);
  }
  static ValueInfo validate(const BinarizeNode& n, const NodeCheck& c) {
    const std::size_t channels = c.one_float_input();
    c.optional_floats("scale", n.scale, channels);
    c.optional_floats("shift", n.shift, channels);
    c.demand(n.scale.empty() || !n.shift.empty(), "scale needs shift (got scale alone, expected both)");
    return {ValueType::bits, channels};
  }
  static Op prepare(const BinarizeNode& n, const NodePreparation& p) { return Op({p.in, p.floats(n.scale), p.floats(n.shift)}); }
  static void run(const Op& op, const NodeRows& r) { op.run(r.floats(), r.out().bits(), r.workspace); }
};

/// Bits as floats +1 and -1.
struct UnpackNode {
  static constexpr std::string_view op = "unpack";
};

template <>
struct NodeTraits<UnpackNode> : RowwiseNode {
  using Op = ops::Unpack;
  static void fields(auto&, auto&) {}
  static ValueInfo validate(const UnpackNode&, const NodeCheck& c) {
    c.inputs_between(1, 1);
    c.input_type(0, ValueType::bits);
    return {ValueType::floats, c.input(0).channels};
  }
  static Op prepare(const UnpackNode&, const NodePreparation&) { return {}; }
  static void run(const Op& op, const NodeRows& r) { op.run(r.bits(), r.out().floats(), r.workspace); }
};

/// activation(fma(x, scale, bias)) per channel.
struct AffineNode {
  static constexpr std::string_view op = "affine";
  WeightName scale{}, bias{};
  ActivationSpec activation{};
};

template <>
struct NodeTraits<AffineNode> : PixelwiseNode {
  using Op = ops::Affine;
  static void fields(auto& a, auto& n) {
    a.weight("scale", n.scale);
    a.weight("bias", n.bias);
    a.optional_activation(n.activation);
  }
  static ValueInfo validate(const AffineNode& n, const NodeCheck& c) {
    const std::size_t channels = c.one_float_input();
    c.floats("scale", n.scale, {channels});
    c.floats("bias", n.bias, {channels});
    c.activation(n.activation, channels);
    return c.input(0);
  }
  static Op prepare(const AffineNode& n, const NodePreparation& p) {
    return Op({p.in, p.floats(n.scale), p.floats(n.bias), p.activation(n.activation)});
  }
  static void run(const Op& op, const NodeRows& r) { op.run(r.floats(), r.out().floats(), r.workspace); }
};

struct ActivationNode {
  static constexpr std::string_view op = "activation";
  ActivationSpec activation{};
};

template <>
struct NodeTraits<ActivationNode> : PixelwiseNode {
  using Op = ops::Activation;
  static void fields(auto& a, auto& n) { a.activation(n.activation); }
  static ValueInfo validate(const ActivationNode& n, const NodeCheck& c) {
    const std::size_t channels = c.one_float_input();
    c.demand(n.activation.kind != kernels::ActivationKind::none, "activation (got none, expected one)");
    c.activation(n.activation, channels);
    return c.input(0);
  }
  static Op prepare(const ActivationNode& n, const NodePreparation& p) { return {p.activation(n.activation), p.in}; }
  static void run(const Op& op, const NodeRows& r) { op.run(r.floats(), r.out().floats(), r.workspace); }
};

/// activation(first + second + ...), added from left to right; 2 to 16 inputs of one shape.
struct AddNode {
  static constexpr std::string_view op = "add";
  ActivationSpec activation{};
};

template <>
struct NodeTraits<AddNode> : PixelwiseNode {
  using Op = ops::Add;
  static void fields(auto& a, auto& n) { a.optional_activation(n.activation); }
  static ValueInfo validate(const AddNode& n, const NodeCheck& c) {
    c.inputs_between(2, 16);
    c.float_inputs();
    for (std::size_t i = 1; i < c.input_count(); ++i) c.input_channels(i, c.input(0).channels);
    c.activation(n.activation, c.input(0).channels);
    return c.input(0);
  }
  static Op prepare(const AddNode& n, const NodePreparation& p) { return {p.activation(n.activation), p.in}; }
  static void run(const Op& op, const NodeRows& r) { op.run(r.float_inputs(), r.out().floats(), r.workspace); }
};

/// Product of two maps; the second may be 1 x 1 x channels.
struct MultiplyNode {
  static constexpr std::string_view op = "multiply";
};

template <>
struct NodeTraits<MultiplyNode> : PixelwiseNode {
  using Op = ops::Multiply;
  static void fields(auto&, auto&) {}
  static ValueInfo validate(const MultiplyNode&, const NodeCheck& c) {
    c.inputs_between(2, 2);
    c.float_inputs();
    c.input_channels(1, c.input(0).channels);
    return c.input(0);
  }
  static Shape shape(const MultiplyNode&, const NodeShapes& s) {
    if (s.in[1].height != 1 || s.in[1].width != 1) s.same_size(1);
    return {s.in[0].height, s.in[0].width, s.channels};
  }
  static RowUse row_use(const MultiplyNode&, std::size_t input, std::span<const Shape> in) {
    return in[input].height == in[0].height ? RowUse::same : RowUse::whole;
  }
  static Op prepare(const MultiplyNode&, const NodePreparation&) { return {}; }
  static void run(const Op& op, const NodeRows& r) { op.run(r.floats(0), r.floats(1), r.out().floats(), r.workspace); }
};

/// Softmax over each run of `group` channels.
struct SoftmaxNode {
  static constexpr std::string_view op = "softmax";
  std::size_t group = 1;
};

template <>
struct NodeTraits<SoftmaxNode> : PixelwiseNode {
  using Op = ops::Softmax;
  static void fields(auto& a, auto& n) { a.integer("group", n.group); }
  static ValueInfo validate(const SoftmaxNode& n, const NodeCheck& c) {
    const std::size_t channels = c.one_float_input();
    c.extent("group", n.group);
    c.demand(channels % n.group == 0, "group (got ", n.group, ", expected a divisor of ", channels, ")");
    return c.input(0);
  }
  static Op prepare(const SoftmaxNode& n, const NodePreparation&) { return Op(n.group); }
  static void run(const Op& op, const NodeRows& r) { op.run(r.floats(), r.out().floats(), r.workspace); }
};

/// x / max(length over the channels, 1e-12).
struct L2NormalizeNode {
  static constexpr std::string_view op = "l2_normalize";
};

template <>
struct NodeTraits<L2NormalizeNode> : PixelwiseNode {
  using Op = ops::L2Normalize;
  static void fields(auto&, auto&) {}
  static ValueInfo validate(const L2NormalizeNode&, const NodeCheck& c) { return {ValueType::floats, c.one_float_input()}; }
  static Op prepare(const L2NormalizeNode&, const NodePreparation&) { return {}; }
  static void run(const Op& op, const NodeRows& r) { op.run(r.floats(), r.out().floats(), r.workspace); }
};

}  // namespace bimtdp
