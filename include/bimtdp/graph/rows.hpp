// SPDX-License-Identifier: Apache-2.0
// Which rows of its inputs an output row of a node needs: what decides whether nodes can run together, row by row.
#pragma once

#include <bimtdp/core/shape.hpp>
#include <bimtdp/graph/graph.hpp>

#include <array>
#include <cstddef>
#include <span>
#include <type_traits>
#include <variant>

namespace bimtdp {

enum class RowUse {
  none,  ///< only the input's shape
  same,  ///< the row of the same index; where the input has n times as many rows, its n rows at the same place
  whole  ///< any row
};

namespace detail {

/// One overload per kind of node that is not "every output row needs the same row of every input".
struct RowUseRule {
  std::size_t input;              // index among the node's inputs
  std::span<const Shape> shapes;  // of the node's inputs

  template <class Op>
  [[nodiscard]] RowUse operator()(const Op&) const {
    return RowUse::same;
  }
  [[nodiscard]] RowUse window(const Window& w) const {
    const bool one_to_one = w.taps() == 1 && w.stride[0] == 1 && w.stride[1] == 1 && w.padding == Padding{};
    return input > 0 || one_to_one ? RowUse::same : RowUse::whole;  // input 1 is the residual
  }
  [[nodiscard]] RowUse operator()(const Conv2dNode& n) const { return window(n.window); }
  [[nodiscard]] RowUse operator()(const BinaryConv2dNode& n) const { return window(n.window); }
  [[nodiscard]] RowUse operator()(const BinaryAttentionNode&) const { return RowUse::whole; }
  [[nodiscard]] RowUse operator()(const MultiplyNode&) const {
    return shapes[input].height == shapes[0].height ? RowUse::same : RowUse::whole;
  }
  /// Windows that lie side by side need nothing of their neighbours.
  [[nodiscard]] RowUse pool(const std::array<std::size_t, 2>& kernel, const std::array<std::size_t, 2>& stride,
                            const Padding& padding) const {
    return kernel == stride && padding == Padding{} && shapes[0].height % stride[0] == 0 ? RowUse::same : RowUse::whole;
  }
  [[nodiscard]] RowUse operator()(const MaxPool2dNode& n) const {
    return n.window.dilation[0] == 1 ? pool(n.window.kernel, n.window.stride, n.window.padding) : RowUse::whole;
  }
  [[nodiscard]] RowUse operator()(const AvgPool2dNode& n) const { return pool(n.kernel, n.stride, n.padding); }
  [[nodiscard]] RowUse operator()(const AdaptiveAvgPool2dNode&) const { return RowUse::whole; }
  [[nodiscard]] RowUse operator()(const ResizeNode&) const { return input == 0 ? RowUse::whole : RowUse::none; }
  [[nodiscard]] RowUse operator()(const LinearNode&) const { return RowUse::whole; }
  [[nodiscard]] RowUse operator()(const SqueezeExciteNode&) const { return RowUse::whole; }
};

}  // namespace detail

/// How the node's output rows use the rows of input `input`; `shapes` are those of all its inputs.
[[nodiscard]] inline RowUse row_use(const NodeOp& op, std::size_t input, std::span<const Shape> shapes) {
  return std::visit(detail::RowUseRule{input, shapes}, op);
}

/// Whether the node's output rows can be computed one apart from the other.
[[nodiscard]] inline bool runs_by_rows(const NodeOp& op) {
  return !std::holds_alternative<InputNode>(op) && !std::holds_alternative<AdaptiveAvgPool2dNode>(op) &&
         !std::holds_alternative<LinearNode>(op) && !std::holds_alternative<SqueezeExciteNode>(op);
}

}  // namespace bimtdp
