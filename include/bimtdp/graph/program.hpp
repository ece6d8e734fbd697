// SPDX-License-Identifier: Apache-2.0
// Program: a graph prepared for one kernel table. Immutable; shared by all runners of a model.
#pragma once

#include <bimtdp/core/inline.hpp>
#include <bimtdp/graph/dataflow.hpp>
#include <bimtdp/graph/graph.hpp>
#include <bimtdp/kernels/select.hpp>
#include <bimtdp/simd/float_state.hpp>

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace bimtdp {

class Program {
 public:
  BIMTDP_INLINE Program(std::shared_ptr<const Graph> graph, const kernels::KernelTable& kernels);
  explicit Program(Graph graph, const kernels::KernelTable& kernels = kernels::active())
      : Program(std::make_shared<const Graph>(std::move(graph)), kernels) {}

  [[nodiscard]] const Graph& graph() const { return *graph_; }
  [[nodiscard]] const kernels::KernelTable& kernels() const { return *kernels_; }

  /// Scratch memory that one thread needs for a node whose inputs and value have these shapes.
  [[nodiscard]] BIMTDP_INLINE std::size_t scratch_bytes(NodeId id, std::span<const Shape> inputs, const Shape& out) const;
  /// Computes rows of a node's value on this thread.
  BIMTDP_INLINE void run(NodeId id, const NodeRows& rows) const;

 private:
  std::shared_ptr<const Graph> graph_;
  const kernels::KernelTable* kernels_;
  std::vector<PreparedOp> ops_;
};

/// Runs one node on inputs that the caller gives, whatever the rest of the graph would make of them: for verification.
/// Throws Error when number, type or shape of the inputs do not fit the node.
[[nodiscard]] BIMTDP_INLINE Value run_node(const Program& program, NodeId id, std::span<const Value> inputs);

}  // namespace bimtdp

#if !defined(BIMTDP_COMPILED)
#include <bimtdp/graph/program.inl>
#endif
