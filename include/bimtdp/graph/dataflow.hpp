// SPDX-License-Identifier: Apache-2.0
// Dataflow: what flows through a graph at one input size. Found once, checked, before anything is planned or run.
#pragma once

#include <bimtdp/core/checked.hpp>
#include <bimtdp/core/inline.hpp>
#include <bimtdp/core/shape.hpp>
#include <bimtdp/graph/cost.hpp>
#include <bimtdp/graph/graph.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace bimtdp {

/// The largest map, in elements.
inline constexpr std::uint64_t max_elements = std::uint64_t{1} << 31;

/// A node that reads a value, and which of its rows.
struct Reader {
  NodeId node = 0;
  RowUse use = RowUse::whole;
};

/// Everything by node.
struct Dataflow {
  std::vector<Shape> shapes{};              ///< of the value
  std::vector<std::vector<RowUse>> uses{};  ///< of the rows of each input
  std::vector<std::uint64_t> work{};        ///< multiply-accumulates, or comparable steps
  std::vector<Cost> costs{};
  std::vector<std::vector<Reader>> readers{};  ///< of the value, in order; who reads it twice stands there twice. Not RowUse::none
  std::vector<bool> is_output{};               ///< whether the network gives the value away

  [[nodiscard]] std::vector<Shape> input_shapes(const Node& node) const {
    std::vector<Shape> in;
    for (const NodeId input : node.inputs) in.push_back(shapes[input]);
    return in;
  }
  [[nodiscard]] std::uint64_t total_work() const {
    Checked sum = 0;
    for (const std::uint64_t w : work) sum = sum + w;
    return sum.value();
  }
};

/// Shape of a node's value for inputs of the given shapes; of node 0, the input, for its own. Throws Error that names the node.
[[nodiscard]] BIMTDP_INLINE Shape infer_shape(const Graph& graph, NodeId id, std::span<const Shape> inputs);

/// The dataflow for a height x width input. Throws Error that names the first node that cannot take it.
[[nodiscard]] BIMTDP_INLINE Dataflow make_dataflow(const Graph& graph, std::size_t height, std::size_t width);

}  // namespace bimtdp

#if !defined(BIMTDP_COMPILED)
#include <bimtdp/graph/dataflow.inl>
#endif
