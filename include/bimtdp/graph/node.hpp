// SPDX-License-Identifier: Apache-2.0
// The nodes of a graph: the list of operations, each of which stands in a file of nodes/ with all that is known of it.
#pragma once

#include <bimtdp/graph/nodes/attention.hpp>
#include <bimtdp/graph/nodes/contract.hpp>
#include <bimtdp/graph/nodes/convolution.hpp>
#include <bimtdp/graph/nodes/dense.hpp>
#include <bimtdp/graph/nodes/input.hpp>
#include <bimtdp/graph/nodes/join.hpp>
#include <bimtdp/graph/nodes/pointwise.hpp>
#include <bimtdp/graph/nodes/pool.hpp>
#include <bimtdp/graph/nodes/resize.hpp>

#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace bimtdp {

namespace detail {

/// The op of one kind of node, so that a node and its op are the same alternative of their variants.
template <NodeKind N>
struct Prepared {
  using Node = N;
  typename NodeTraits<N>::Op op;
};

template <NodeKind... Ns>
struct NodeList {
  using Fields = std::variant<Ns...>;
  using Op = std::variant<Prepared<Ns>...>;
};

/// Every operation that a graph can have. A new one is added here.
using AllNodes = NodeList<InputNode, Conv2dNode, BinaryConv2dNode, BinarizeNode, UnpackNode, BinaryAttentionNode, AffineNode,
                          ActivationNode, AddNode, MultiplyNode, MaxPool2dNode, AvgPool2dNode, AdaptiveAvgPool2dNode, ResizeNode,
                          ConcatNode, SliceNode, SoftmaxNode, SqueezeExciteNode, LinearNode, L2NormalizeNode>;

}  // namespace detail

using NodeOp = detail::AllNodes::Fields;
using PreparedOp = detail::AllNodes::Op;

struct Node {
  std::string name;
  std::vector<NodeId> inputs;
  NodeOp op;
};

/// Calls call(fields, NodeTraits of their kind).
template <class Call>
decltype(auto) visit_node(const NodeOp& op, Call&& call) {
  return std::visit([&]<class N>(const N& fields) -> decltype(auto) { return call(fields, NodeTraits<N>{}); }, op);
}

/// The operation's name in the model file.
[[nodiscard]] inline std::string_view op_name(const NodeOp& op) {
  return std::visit([]<class N>(const N&) { return N::op; }, op);
}

/// "node 7 (conv2d stem.conv1)", for messages.
[[nodiscard]] inline std::string label(NodeId id, const Node& node) {
  return "node " + std::to_string(id) + " (" + std::string(op_name(node.op)) + " " + node.name + ")";
}

}  // namespace bimtdp
