// SPDX-License-Identifier: Apache-2.0
// check_op: validates one node and returns the type and channels of its value, one overload per operation.
#pragma once

#include <bimtdp/graph/node_check.hpp>

#include <cstddef>
#include <string>
#include <vector>

namespace bimtdp::detail {

inline ValueInfo check_op(const InputNode& n, const NodeCheck& c) {
  c.inputs_between(0, 0);
  c.extent("channels", n.channels);
  return {ValueType::floats, n.channels};
}

/// The residual, where there is one, is a float map with the convolution's output channels.
inline void check_residual(const NodeCheck& c, std::size_t out) {
  if (c.input_count() < 2) return;
  c.input_type(1, ValueType::floats);
  c.input_channels(1, out);
}

inline ValueInfo check_op(const Conv2dNode& n, const NodeCheck& c) {
  c.inputs_between(1, 2);
  c.input_type(0, ValueType::floats);
  c.window(n.window);
  const std::size_t out = c.output_channels(n.weight);
  const std::size_t depth = c.group_channels(n.groups, c.input(0).channels, out);
  c.dot_length(n.window, depth);
  c.floats("weight", n.weight, {out, n.window.kernel[0], n.window.kernel[1], depth});
  c.count_idle_lanes(n.weight, n.groups, c.input(0).channels, out);
  c.epilogue({}, n.scale, n.bias, out);
  c.activation(n.activation, out);
  check_residual(c, out);
  return {ValueType::floats, out};
}

inline ValueInfo check_op(const BinaryConv2dNode& n, const NodeCheck& c) {
  c.inputs_between(1, n.output == DotOutput::floats ? 2 : 1);
  c.input_type(0, ValueType::bits);
  c.window(n.window);
  const std::size_t out = c.output_channels(n.weight);
  const std::size_t depth = c.group_channels(n.groups, c.input(0).channels, out);
  c.dot_length(n.window, depth);
  c.require(n.window.taps() <= (std::size_t{1} << 16), "kernel (got ", n.window.taps(), " taps, expected at most 65536)");
  c.signs("weight", n.weight, out, n.window.kernel, depth);
  c.count_idle_lanes(n.weight, n.groups, c.input(0).channels, out);
  const bool activated = n.activation.kind != kernels::ActivationKind::none;
  c.require(n.output == DotOutput::floats || !activated, "only the float output has an activation");
  const bool affine = !n.alpha.empty() || !n.scale.empty() || !n.bias.empty();
  c.require(n.output != DotOutput::integer || !affine, "the integer output has no alpha, scale and bias");
  c.epilogue(n.alpha, n.scale, n.bias, out);
  c.activation(n.activation, out);
  check_residual(c, out);
  const ValueType type = n.output == DotOutput::integer ? ValueType::integers
                         : n.output == DotOutput::bits  ? ValueType::bits
                                                        : ValueType::floats;
  return {type, out};
}

inline ValueInfo check_op(const BinarizeNode& n, const NodeCheck& c) {
  c.inputs_between(1, 1);
  c.float_inputs();
  c.optional_floats("scale", n.scale, c.input(0).channels);
  c.optional_floats("shift", n.shift, c.input(0).channels);
  c.require(n.scale.empty() || !n.shift.empty(), "scale needs shift");
  return {ValueType::bits, c.input(0).channels};
}

inline ValueInfo check_op(const UnpackNode&, const NodeCheck& c) {
  c.inputs_between(1, 1);
  c.input_type(0, ValueType::bits);
  return {ValueType::floats, c.input(0).channels};
}

/// Sources, targets and how many convolutions of each kind the options ask for.
inline void check_attention_counts(const BinaryAttentionNode& n, const NodeCheck& c, std::size_t sources) {
  c.require(n.targets.size() <= sources, "targets (got ", n.targets.size(), ", expected at most ", sources, " sources)");
  for (const std::size_t target : n.targets)
    c.require(target < sources, "targets (got source ", target, ", expected below ", sources, ")");
  const std::size_t pairs = n.targets.size() * (sources - 1);
  const bool pairwise = n.message_weights == MessageWeights::pairwise;
  const std::size_t gates = n.gate_source == GateSource::target ? n.targets.size() : pairwise ? pairs : sources;
  check_equal(n.gates.size(), gates, c.where(), "number of gates");
  check_equal(n.messages.size(), pairwise ? pairs : sources, c.where(), "number of messages");
}

inline ValueInfo check_op(const BinaryAttentionNode& n, const NodeCheck& c) {
  c.require(!n.targets.empty() && n.targets.size() <= 16, "targets (got ", n.targets.size(), ", expected 1 to 16)");
  const std::size_t real = n.identity == IdentityTerm::real ? n.targets.size() : 0;
  c.inputs_between(real + 1, real + 16);
  const std::size_t sources = c.input_count() - real;
  const std::size_t channels = c.input(0).channels;
  for (std::size_t i = 0; i < c.input_count(); ++i) {
    c.input_type(i, i < sources ? ValueType::bits : ValueType::floats);
    c.input_channels(i, channels);
  }
  check_attention_counts(n, c, sources);
  const Window window{.kernel = n.kernel, .padding = n.padding};
  c.window(window);
  c.dot_length(window, channels);
  for (std::size_t axis : {0u, 1u}) {
    const std::size_t padded = axis == 0 ? n.padding.top + n.padding.bottom : n.padding.left + n.padding.right;
    check_equal(padded, n.kernel[axis] - 1, c.where(), "padding must keep the size: sum of both sides");
  }
  for (const auto* convs : {&n.gates, &n.messages}) {
    for (const AttentionConv& conv : *convs) {
      c.signs("weight", conv.weight, channels, n.kernel, channels);
      c.count_idle_lanes(conv.weight, 1, channels, channels);
      c.epilogue(conv.alpha, conv.scale, conv.bias, channels);
    }
  }
  return {n.outer_sign ? ValueType::bits : ValueType::floats, channels * n.targets.size()};
}

inline ValueInfo check_op(const AffineNode& n, const NodeCheck& c) {
  c.inputs_between(1, 1);
  c.float_inputs();
  c.floats("scale", n.scale, {c.input(0).channels});
  c.floats("bias", n.bias, {c.input(0).channels});
  c.activation(n.activation, c.input(0).channels);
  return c.input(0);
}

inline ValueInfo check_op(const ActivationNode& n, const NodeCheck& c) {
  c.inputs_between(1, 1);
  c.float_inputs();
  c.require(n.activation.kind != kernels::ActivationKind::none, "activation is missing");
  c.activation(n.activation, c.input(0).channels);
  return c.input(0);
}

inline ValueInfo check_op(const AddNode& n, const NodeCheck& c) {
  c.inputs_between(2, 16);
  c.float_inputs();
  for (std::size_t i = 1; i < c.input_count(); ++i) c.input_channels(i, c.input(0).channels);
  c.activation(n.activation, c.input(0).channels);
  return c.input(0);
}

inline ValueInfo check_op(const MultiplyNode&, const NodeCheck& c) {
  c.inputs_between(2, 2);
  c.float_inputs();
  c.input_channels(1, c.input(0).channels);
  return c.input(0);
}

inline ValueInfo check_op(const MaxPool2dNode& n, const NodeCheck& c) {
  c.inputs_between(1, 1);
  c.require(c.input(0).type != ValueType::integers, "type of input 0 (got integer, expected float or bits)");
  c.window(n.window);
  return c.input(0);
}

inline ValueInfo check_op(const AvgPool2dNode& n, const NodeCheck& c) {
  c.inputs_between(1, 1);
  c.float_inputs();
  c.window({.kernel = n.kernel, .stride = n.stride, .padding = n.padding});
  c.padding(n.padding, n.kernel[0], n.kernel[1]);  // so that every window meets the image: no division by 0
  return c.input(0);
}

inline ValueInfo check_op(const AdaptiveAvgPool2dNode& n, const NodeCheck& c) {
  c.inputs_between(1, 1);
  c.float_inputs();
  c.extents("size", n.size);
  return c.input(0);
}

inline ValueInfo check_op(const ResizeNode& n, const NodeCheck& c) {
  c.inputs_between(1, 2);
  const bool sized = n.size[0] != 0 || n.size[1] != 0;
  const int ways = (n.factor != 0) + sized + (c.input_count() == 2);
  c.require(ways == 1, "expected exactly one of factor, size and a second input (got ", ways, ")");
  if (n.factor != 0) c.extent("factor", n.factor);
  if (sized) c.extents("size", n.size);
  const bool nearest_bits = n.mode == ResizeMode::nearest && c.input(0).type == ValueType::bits;
  if (!nearest_bits) c.input_type(0, ValueType::floats);
  return c.input(0);
}

inline ValueInfo check_op(const ConcatNode&, const NodeCheck& c) {
  c.inputs_between(1, max_inputs);
  c.require(c.input(0).type != ValueType::integers, "type of input 0 (got integer, expected float or bits)");
  std::size_t channels = 0;  // at most 64 * 2^20
  for (std::size_t i = 0; i < c.input_count(); ++i) {
    c.input_type(i, c.input(0).type);
    channels += c.input(i).channels;
  }
  return {c.input(0).type, channels};
}

inline ValueInfo check_op(const SliceNode& n, const NodeCheck& c) {
  c.inputs_between(1, 1);
  c.require(c.input(0).type != ValueType::integers, "type of input 0 (got integer, expected float or bits)");
  c.require(n.begin < n.end && n.end <= c.input(0).channels, "channels (got ", n.begin, " to ", n.end, ", expected a range within ",
            c.input(0).channels, ")");
  return {c.input(0).type, n.end - n.begin};
}

inline ValueInfo check_op(const SoftmaxNode& n, const NodeCheck& c) {
  c.inputs_between(1, 1);
  c.float_inputs();
  c.extent("group", n.group);
  c.require(c.input(0).channels % n.group == 0, "group (got ", n.group, ", expected a divisor of ", c.input(0).channels, ")");
  return c.input(0);
}

inline ValueInfo check_op(const SqueezeExciteNode& n, const NodeCheck& c) {
  c.inputs_between(1, 1);
  c.float_inputs();
  const std::size_t channels = c.input(0).channels;
  const std::size_t hidden = c.output_channels(n.reduce_weight);
  c.floats("reduce_weight", n.reduce_weight, {hidden, channels});
  c.floats("reduce_bias", n.reduce_bias, {hidden});
  c.floats("expand_weight", n.expand_weight, {channels, hidden});
  c.count_idle_lanes(n.reduce_weight, 1, channels, hidden);
  c.count_idle_lanes(n.expand_weight, 1, hidden, channels);
  c.floats("expand_bias", n.expand_bias, {channels});
  return c.input(0);
}

inline ValueInfo check_op(const LinearNode& n, const NodeCheck& c) {
  c.inputs_between(1, 1);
  c.float_inputs();
  const std::size_t out = c.output_channels(n.weight);
  c.floats("weight", n.weight, {out, c.input(0).channels});
  c.count_idle_lanes(n.weight, 1, c.input(0).channels, out);
  c.optional_floats("bias", n.bias, out);
  c.activation(n.activation, out);
  return {ValueType::floats, out};
}

inline ValueInfo check_op(const L2NormalizeNode&, const NodeCheck& c) {
  c.inputs_between(1, 1);
  c.float_inputs();
  return c.input(0);
}

}  // namespace bimtdp::detail
