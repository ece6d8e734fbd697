// SPDX-License-Identifier: Apache-2.0
// The JSON fields of every node, written once: describe_fields(archive, node) visits them, and a reader or a writer is the archive.
#pragma once

#include <bimtdp/graph/node.hpp>

#include <array>
#include <string_view>
#include <utility>

namespace bimtdp::detail {

/// The values of an enum and their names in the file.
template <class Enum, std::size_t Count>
using Names = std::array<std::pair<std::string_view, Enum>, Count>;

inline constexpr Names<kernels::ActivationKind, 6> activation_names{{{"relu", kernels::ActivationKind::relu},
                                                                     {"relu6", kernels::ActivationKind::relu6},
                                                                     {"hardtanh", kernels::ActivationKind::hardtanh},
                                                                     {"sigmoid", kernels::ActivationKind::sigmoid},
                                                                     {"prelu", kernels::ActivationKind::prelu},
                                                                     {"rprelu", kernels::ActivationKind::rprelu}}};
inline constexpr Names<DotOutput, 3> dot_output_names{
    {{"integer", DotOutput::integer}, {"float", DotOutput::floats}, {"bits", DotOutput::bits}}};
inline constexpr Names<GateSource, 2> gate_source_names{{{"target", GateSource::target}, {"source", GateSource::source}}};
inline constexpr Names<MessageWeights, 2> message_weights_names{
    {{"per_source", MessageWeights::per_source}, {"pairwise", MessageWeights::pairwise}}};
inline constexpr Names<IdentityTerm, 2> identity_names{{{"binary", IdentityTerm::binary}, {"real", IdentityTerm::real}}};
inline constexpr Names<ResizeMode, 2> resize_mode_names{{{"bilinear", ResizeMode::bilinear}, {"nearest", ResizeMode::nearest}}};

// An archive has: integer, integers (pair), boolean, choice, weight, optional_weight, padding, window, optional_activation,
// activation, indices, convs and optional_integer, optional_pair (0 = absent); each takes the field's name and a reference.

template <class Archive>
void describe_fields(Archive& a, InputNode& n) {
  a.integer("channels", n.channels);
}
template <class Archive>
void describe_fields(Archive& a, Conv2dNode& n) {
  a.window(n.window);
  a.integer("groups", n.groups);
  a.weight("weight", n.weight);
  a.optional_weight("scale", n.scale);
  a.optional_weight("bias", n.bias);
  a.optional_activation(n.activation);
}
template <class Archive>
void describe_fields(Archive& a, BinaryConv2dNode& n) {
  a.window(n.window);
  a.integer("groups", n.groups);
  a.weight("weight", n.weight);
  a.choice("output", n.output, dot_output_names);
  a.optional_weight("alpha", n.alpha);
  a.optional_weight("scale", n.scale);
  a.optional_weight("bias", n.bias);
  a.optional_activation(n.activation);
}
template <class Archive>
void describe_fields(Archive& a, BinarizeNode& n) {
  a.optional_weight("scale", n.scale);
  a.optional_weight("shift", n.shift);
}
template <class Archive>
void describe_fields(Archive&, UnpackNode&) {}
template <class Archive>
void describe_fields(Archive& a, AttentionConv& n) {
  a.weight("weight", n.weight);
  a.optional_weight("alpha", n.alpha);
  a.optional_weight("scale", n.scale);
  a.optional_weight("bias", n.bias);
}
template <class Archive>
void describe_fields(Archive& a, BinaryAttentionNode& n) {
  a.indices("targets", n.targets);
  a.choice("gate_source", n.gate_source, gate_source_names);
  a.choice("message_weights", n.message_weights, message_weights_names);
  a.choice("identity", n.identity, identity_names);
  a.boolean("outer_sign", n.outer_sign);
  a.pair("kernel", n.kernel);
  a.padding("padding", n.padding);
  a.convs("gates", n.gates);
  a.convs("messages", n.messages);
}
template <class Archive>
void describe_fields(Archive& a, AffineNode& n) {
  a.weight("scale", n.scale);
  a.weight("bias", n.bias);
  a.optional_activation(n.activation);
}
template <class Archive>
void describe_fields(Archive& a, ActivationNode& n) {
  a.activation(n.activation);
}
template <class Archive>
void describe_fields(Archive& a, AddNode& n) {
  a.optional_activation(n.activation);
}
template <class Archive>
void describe_fields(Archive&, MultiplyNode&) {}
template <class Archive>
void describe_fields(Archive& a, MaxPool2dNode& n) {
  a.window(n.window);
}
template <class Archive>
void describe_fields(Archive& a, AvgPool2dNode& n) {
  a.pair("kernel", n.kernel);
  a.pair("stride", n.stride);
  a.padding("padding", n.padding);
  a.boolean("count_include_pad", n.count_include_pad);
}
template <class Archive>
void describe_fields(Archive& a, AdaptiveAvgPool2dNode& n) {
  a.pair("size", n.size);
}
template <class Archive>
void describe_fields(Archive& a, ResizeNode& n) {
  a.choice("mode", n.mode, resize_mode_names);
  a.optional_integer("factor", n.factor);
  a.optional_pair("size", n.size);
}
template <class Archive>
void describe_fields(Archive&, ConcatNode&) {}
template <class Archive>
void describe_fields(Archive& a, SliceNode& n) {
  a.integer("begin", n.begin);
  a.integer("end", n.end);
}
template <class Archive>
void describe_fields(Archive& a, SoftmaxNode& n) {
  a.integer("group", n.group);
}
template <class Archive>
void describe_fields(Archive& a, SqueezeExciteNode& n) {
  a.weight("reduce_weight", n.reduce_weight);
  a.weight("reduce_bias", n.reduce_bias);
  a.weight("expand_weight", n.expand_weight);
  a.weight("expand_bias", n.expand_bias);
}
template <class Archive>
void describe_fields(Archive& a, LinearNode& n) {
  a.weight("weight", n.weight);
  a.optional_weight("bias", n.bias);
  a.optional_activation(n.activation);
}
template <class Archive>
void describe_fields(Archive&, L2NormalizeNode&) {}

}  // namespace bimtdp::detail
