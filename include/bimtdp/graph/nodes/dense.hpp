// SPDX-License-Identifier: Apache-2.0
// Layers that look at a whole map at once: fully connected, squeeze and excite.
#pragma once

#include <bimtdp/graph/nodes/contract.hpp>
#include <bimtdp/ops/linear.hpp>
#include <bimtdp/ops/squeeze_excite.hpp>

namespace bimtdp {

/// Matrix product of a 1 x 1 x in map; weight [out][in].
struct LinearNode {
  static constexpr std::string_view op = "linear";
  WeightName weight{}, bias{};
  ActivationSpec activation{};
};

/// x * sigmoid(expand(relu(reduce(mean of x)))), one factor per channel.
struct SqueezeExciteNode {
  static constexpr std::string_view op = "squeeze_excite";
  WeightName reduce_weight{}, reduce_bias{}, expand_weight{}, expand_bias{};
};

template <>
struct NodeTraits<LinearNode> : WholeMapNode {
  using Op = ops::Linear;
  static constexpr WorkUnit work_unit = WorkUnit::macs;
  static void fields(auto& a, auto& n) {
    a.weight("weight", n.weight);
    a.optional_weight("bias", n.bias);
    a.optional_activation(n.activation);
  }
  static ValueInfo validate(const LinearNode& n, const NodeCheck& c) {
    const std::size_t in = c.one_float_input(), out = c.output_channels("weight", n.weight);
    c.floats("weight", n.weight, {out, in});
    c.count_idle_lanes(n.weight, 1, in, out);
    c.optional_floats("bias", n.bias, out);
    c.activation(n.activation, out);
    return {ValueType::floats, out};
  }
  static Shape shape(const LinearNode&, const NodeShapes& s) {
    check_equal(s.in[0], Shape{1, 1, s.in[0].channels}, s.where, "input");
    return {1, 1, s.channels};
  }
  static Checked work(const LinearNode&, std::span<const Shape> in, const Shape&) { return in[0].channels; }
  static Op prepare(const LinearNode& n, const NodePreparation& p) {
    return {p.kernels, {p.in, p.out, p.floats(n.weight), p.floats(n.bias), p.activation(n.activation)}};
  }
};

template <>
struct NodeTraits<SqueezeExciteNode> : WholeMapNode {
  using Op = ops::SqueezeExcite;
  static constexpr WorkUnit work_unit = WorkUnit::bytes;
  static void fields(auto& a, auto& n) {
    a.weight("reduce_weight", n.reduce_weight);
    a.weight("reduce_bias", n.reduce_bias);
    a.weight("expand_weight", n.expand_weight);
    a.weight("expand_bias", n.expand_bias);
  }
  static ValueInfo validate(const SqueezeExciteNode& n, const NodeCheck& c) {
    const std::size_t channels = c.one_float_input(), hidden = c.output_channels("reduce_weight", n.reduce_weight);
    c.floats("reduce_weight", n.reduce_weight, {hidden, channels});
    c.floats("reduce_bias", n.reduce_bias, {hidden});
    c.floats("expand_weight", n.expand_weight, {channels, hidden});
    c.count_idle_lanes(n.reduce_weight, 1, channels, hidden);
    c.count_idle_lanes(n.expand_weight, 1, hidden, channels);
    c.floats("expand_bias", n.expand_bias, {channels});
    return c.input(0);
  }
  static Shape shape(const SqueezeExciteNode&, const NodeShapes& s) { return s.in[0]; }
  static Checked work(const SqueezeExciteNode&, std::span<const Shape> in, const Shape&) { return in.size(); }
  static Op prepare(const SqueezeExciteNode& n, const NodePreparation& p) {
    const std::span<const float> reduce_bias = p.floats(n.reduce_bias);
    return {p.kernels,
            {p.in, reduce_bias.size(), p.floats(n.reduce_weight), reduce_bias, p.floats(n.expand_weight), p.floats(n.expand_bias)}};
  }
};

}  // namespace bimtdp
