// SPDX-License-Identifier: Apache-2.0
// From a node's fields to the op that runs it: looks up the weights and packs them for one kernel table.
#pragma once

#include <bimtdp/graph/graph.hpp>
#include <bimtdp/kernels/table.hpp>
#include <bimtdp/ops/activation.hpp>
#include <bimtdp/ops/affine.hpp>
#include <bimtdp/ops/binarize.hpp>
#include <bimtdp/ops/binary_attention.hpp>
#include <bimtdp/ops/binary_conv2d.hpp>
#include <bimtdp/ops/concat.hpp>
#include <bimtdp/ops/conv2d.hpp>
#include <bimtdp/ops/elementwise.hpp>
#include <bimtdp/ops/l2_normalize.hpp>
#include <bimtdp/ops/linear.hpp>
#include <bimtdp/ops/pool.hpp>
#include <bimtdp/ops/resize.hpp>
#include <bimtdp/ops/softmax.hpp>
#include <bimtdp/ops/squeeze_excite.hpp>

#include <cstddef>
#include <span>
#include <variant>
#include <vector>

namespace bimtdp {

/// The op of a node; monostate stands for the input.
using PreparedOp = std::variant<std::monostate, ops::Conv2d, ops::BinaryConv2d, ops::Binarize, ops::Unpack, ops::BinaryAttention,
                                ops::Affine, ops::Activation, ops::Add, ops::Multiply, ops::MaxPool2d, ops::AveragePool2d,
                                ops::AdaptiveAveragePool2d, ops::ResizeBilinear, ops::ResizeNearest, ops::Concat, ops::Slice,
                                ops::Softmax, ops::SqueezeExcite, ops::Linear, ops::L2Normalize>;

namespace detail {

struct OpMaker {
  const Weights& weights;
  const kernels::KernelTable& kernels;
  std::size_t in;       // channels of the first input (0 for the input node)
  std::size_t out;      // channels of the node's value
  std::size_t sources;  // inputs in all

  [[nodiscard]] ops::ActivationParameters activation(const ActivationSpec& a) const {
    return {a.kind, weights.floats(a.slope), weights.floats(a.shift_in), weights.floats(a.shift_out)};
  }

  PreparedOp operator()(const InputNode&) const { return std::monostate{}; }
  PreparedOp operator()(const Conv2dNode& n) const {
    const ops::EpilogueParameters epilogue{{}, weights.floats(n.scale), weights.floats(n.bias), activation(n.activation)};
    return ops::Conv2d(kernels, {n.window, n.groups, in, out, weights.floats(n.weight), epilogue});
  }
  PreparedOp operator()(const BinaryConv2dNode& n) const {
    const ops::EpilogueParameters epilogue{weights.floats(n.alpha), weights.floats(n.scale), weights.floats(n.bias),
                                           activation(n.activation)};
    const ops::BinaryOutput output = n.output == DotOutput::integer ? ops::BinaryOutput::integer
                                     : n.output == DotOutput::bits  ? ops::BinaryOutput::bits
                                                                    : ops::BinaryOutput::floats;
    return ops::BinaryConv2d(kernels, {n.window, n.groups, in, out, weights.words(n.weight), epilogue}, output);
  }
  PreparedOp operator()(const BinarizeNode& n) const {
    return ops::Binarize({in, weights.floats(n.scale), weights.floats(n.shift)});
  }
  PreparedOp operator()(const UnpackNode&) const { return ops::Unpack{}; }
  [[nodiscard]] std::vector<ops::AttentionConv> convs(const std::vector<AttentionConv>& list) const {
    std::vector<ops::AttentionConv> result;
    for (const AttentionConv& c : list)
      result.push_back({weights.words(c.weight), weights.floats(c.alpha), weights.floats(c.scale), weights.floats(c.bias)});
    return result;
  }
  PreparedOp operator()(const BinaryAttentionNode& n) const {
    const std::vector<ops::AttentionConv> gates = convs(n.gates), messages = convs(n.messages);
    const bool real = n.identity == IdentityTerm::real;
    return ops::BinaryAttention(
        kernels, {.channels = in,
                  .sources = sources - (real ? n.targets.size() : 0),
                  .targets = n.targets,
                  .gate_source = n.gate_source == GateSource::target ? ops::GateSource::target : ops::GateSource::source,
                  .message_weights = n.message_weights == MessageWeights::per_source ? ops::MessageWeights::per_source
                                                                                     : ops::MessageWeights::pairwise,
                  .identity = real ? ops::Identity::real : ops::Identity::binary,
                  .outer_sign = n.outer_sign,
                  .window = {.kernel = n.kernel, .padding = n.padding},
                  .gates = gates,
                  .messages = messages});
  }
  PreparedOp operator()(const AffineNode& n) const {
    return ops::Affine({in, weights.floats(n.scale), weights.floats(n.bias), activation(n.activation)});
  }
  PreparedOp operator()(const ActivationNode& n) const { return ops::Activation(activation(n.activation), in); }
  PreparedOp operator()(const AddNode& n) const { return ops::Add(activation(n.activation), in); }
  PreparedOp operator()(const MultiplyNode&) const { return ops::Multiply{}; }
  PreparedOp operator()(const MaxPool2dNode& n) const { return ops::MaxPool2d(n.window); }
  PreparedOp operator()(const AvgPool2dNode& n) const {
    return ops::AveragePool2d({.kernel = n.kernel, .stride = n.stride, .padding = n.padding}, n.count_include_pad);
  }
  PreparedOp operator()(const AdaptiveAvgPool2dNode& n) const { return ops::AdaptiveAveragePool2d(n.size[0], n.size[1]); }
  PreparedOp operator()(const ResizeNode& n) const {
    if (n.mode == ResizeMode::nearest) return ops::ResizeNearest{};
    return ops::ResizeBilinear{};
  }
  PreparedOp operator()(const ConcatNode&) const { return ops::Concat{}; }
  PreparedOp operator()(const SliceNode& n) const { return ops::Slice(n.begin, n.end); }
  PreparedOp operator()(const SoftmaxNode& n) const { return ops::Softmax(n.group); }
  PreparedOp operator()(const SqueezeExciteNode& n) const {
    const std::span<const float> reduce_bias = weights.floats(n.reduce_bias);
    return ops::SqueezeExcite(kernels, {in, reduce_bias.size(), weights.floats(n.reduce_weight), reduce_bias,
                                        weights.floats(n.expand_weight), weights.floats(n.expand_bias)});
  }
  PreparedOp operator()(const LinearNode& n) const {
    return ops::Linear(kernels, {in, out, weights.floats(n.weight), weights.floats(n.bias), activation(n.activation)});
  }
  PreparedOp operator()(const L2NormalizeNode&) const { return ops::L2Normalize{}; }
};

}  // namespace detail

/// The op of node `id`, its weights packed for `kernels`. Throws Error, which names the node, where its numbers are too large.
[[nodiscard]] inline PreparedOp prepare(const Graph& graph, NodeId id, const kernels::KernelTable& kernels) {
  const Node& node = graph.nodes()[id];
  const std::size_t in = node.inputs.empty() ? 0 : graph.values()[node.inputs[0]].channels;
  try {
    return std::visit(detail::OpMaker{graph.weights(), kernels, in, graph.values()[id].channels, node.inputs.size()}, node.op);
  } catch (const Error& error) {
    throw Error(describe(id, node) + ": " + error.what());
  }
}

}  // namespace bimtdp
