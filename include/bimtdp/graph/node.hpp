// SPDX-License-Identifier: Apache-2.0
// The nodes of a graph: one small struct per operation, with the field names of the model file.
// Weights are referred to by their name in the graph's Weights; an empty name means "absent".
#pragma once

#include <bimtdp/core/shape.hpp>
#include <bimtdp/kernels/table.hpp>

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

namespace bimtdp {

/// Position of a node in its graph. Nodes refer to earlier nodes only.
using NodeId = std::size_t;
using WeightName = std::string;

/// The most inputs a node has.
inline constexpr std::size_t max_inputs = 64;

/// An activation and its per-channel parameters: slope for prelu and rprelu, the shifts for rprelu only.
struct ActivationSpec {
  kernels::ActivationKind kind = kernels::ActivationKind::none;
  WeightName slope{}, shift_in{}, shift_out{};
};

/// The network's only source: a normalised float map. Node 0 of every graph.
struct InputNode {
  static constexpr std::string_view op = "input";
  std::size_t channels = 3;
};

/// Float convolution. Inputs: x[, residual]. Weight F32 [out][kernel][kernel][in/groups]; epilogue of kernels/table.hpp.
struct Conv2dNode {
  static constexpr std::string_view op = "conv2d";
  Window window{};
  std::size_t groups = 1;
  WeightName weight{}, scale{}, bias{};
  ActivationSpec activation{};
};

enum class DotOutput { integer, floats, bits };

/// Binary convolution. Inputs: bits[, residual]. Weight U64 [out][kernel][kernel][ceil(in/groups/64)].
/// integer: the dot products; floats: the whole epilogue; bits: alpha, scale and bias, then the sign.
struct BinaryConv2dNode {
  static constexpr std::string_view op = "binary_conv2d";
  Window window{};
  std::size_t groups = 1;
  WeightName weight{};
  DotOutput output = DotOutput::floats;
  WeightName alpha{}, scale{}, bias{};
  ActivationSpec activation{};
};

/// Signs of a float map: (scale ? fma(x, scale, shift) : x + shift) >= 0.
struct BinarizeNode {
  static constexpr std::string_view op = "binarize";
  WeightName scale{}, shift{};
};

/// Bits as floats +1 and -1.
struct UnpackNode {
  static constexpr std::string_view op = "unpack";
};

enum class GateSource { target, source };
enum class MessageWeights { per_source, pairwise };
enum class IdentityTerm { binary, real };

/// One binary convolution inside the attention and the affine map after it.
struct AttentionConv {
  WeightName weight{}, alpha{}, scale{}, bias{};
};

/// Binarized attention, Bi-MTDP eq. (2) and (3). Inputs: bits of the A sources[, real identities of the T targets].
/// gates: target -> T convolutions; source + per_source -> A; source + pairwise -> T*(A-1), target-major.
/// messages: per_source -> A; pairwise -> T*(A-1), target-major, sources in order without the target itself.
struct BinaryAttentionNode {
  static constexpr std::string_view op = "binary_attention";
  std::vector<std::size_t> targets{};  ///< the source index of each target
  GateSource gate_source = GateSource::target;
  MessageWeights message_weights = MessageWeights::per_source;
  IdentityTerm identity = IdentityTerm::binary;
  bool outer_sign = true;
  std::array<std::size_t, 2> kernel{3, 3};
  Padding padding{1, 1, 1, 1};
  std::vector<AttentionConv> gates{}, messages{};
};

/// activation(fma(x, scale, bias)) per channel.
struct AffineNode {
  static constexpr std::string_view op = "affine";
  WeightName scale{}, bias{};
  ActivationSpec activation{};
};

struct ActivationNode {
  static constexpr std::string_view op = "activation";
  ActivationSpec activation{};
};

/// activation(first + second + ...), added from left to right; 2 to 16 inputs of one shape.
struct AddNode {
  static constexpr std::string_view op = "add";
  ActivationSpec activation{};
};

/// Product of two maps; the second may be 1 x 1 x channels.
struct MultiplyNode {
  static constexpr std::string_view op = "multiply";
};

/// Maximum over the taps of a window, on floats or on bits.
struct MaxPool2dNode {
  static constexpr std::string_view op = "max_pool2d";
  Window window{};
};

struct AvgPool2dNode {
  static constexpr std::string_view op = "avg_pool2d";
  std::array<std::size_t, 2> kernel{2, 2}, stride{2, 2};
  Padding padding{};
  bool count_include_pad = true;
};

struct AdaptiveAvgPool2dNode {
  static constexpr std::string_view op = "adaptive_avg_pool2d";
  std::array<std::size_t, 2> size{1, 1};
};

enum class ResizeMode { bilinear, nearest };

/// Resize by `factor`, to `size`, or (both 0) to the height and width of the second input.
struct ResizeNode {
  static constexpr std::string_view op = "resize";
  ResizeMode mode = ResizeMode::bilinear;
  std::size_t factor = 0;
  std::array<std::size_t, 2> size{0, 0};
};

/// Channels of the inputs one after the other; all float or all bits.
struct ConcatNode {
  static constexpr std::string_view op = "concat";
};

/// Channels begin to end-1.
struct SliceNode {
  static constexpr std::string_view op = "slice";
  std::size_t begin = 0, end = 0;
};

/// Softmax over each run of `group` channels.
struct SoftmaxNode {
  static constexpr std::string_view op = "softmax";
  std::size_t group = 1;
};

/// x * sigmoid(expand(relu(reduce(mean of x)))), one factor per channel.
struct SqueezeExciteNode {
  static constexpr std::string_view op = "squeeze_excite";
  WeightName reduce_weight{}, reduce_bias{}, expand_weight{}, expand_bias{};
};

/// Matrix product of a 1 x 1 x in map; weight [out][in].
struct LinearNode {
  static constexpr std::string_view op = "linear";
  WeightName weight{}, bias{};
  ActivationSpec activation{};
};

/// x / max(length over the channels, 1e-12).
struct L2NormalizeNode {
  static constexpr std::string_view op = "l2_normalize";
};

using NodeOp = std::variant<InputNode, Conv2dNode, BinaryConv2dNode, BinarizeNode, UnpackNode, BinaryAttentionNode, AffineNode,
                            ActivationNode, AddNode, MultiplyNode, MaxPool2dNode, AvgPool2dNode, AdaptiveAvgPool2dNode, ResizeNode,
                            ConcatNode, SliceNode, SoftmaxNode, SqueezeExciteNode, LinearNode, L2NormalizeNode>;

struct Node {
  std::string name;
  std::vector<NodeId> inputs;
  NodeOp op;
};

/// The operation's name in the model file.
[[nodiscard]] inline std::string_view op_name(const NodeOp& op) {
  return std::visit([](const auto& fields) { return std::remove_cvref_t<decltype(fields)>::op; }, op);
}

/// "node 7 (conv2d stem.conv1)", for messages.
[[nodiscard]] inline std::string describe(NodeId id, const Node& node) {
  return "node " + std::to_string(id) + " (" + std::string(op_name(node.op)) + " " + node.name + ")";
}

}  // namespace bimtdp
