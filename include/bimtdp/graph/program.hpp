// SPDX-License-Identifier: Apache-2.0
// Program: a graph prepared for one kernel table. Immutable; shared by all runners of a model.
#pragma once

#include <bimtdp/graph/graph.hpp>
#include <bimtdp/graph/prepare.hpp>
#include <bimtdp/graph/run_op.hpp>
#include <bimtdp/graph/shapes.hpp>
#include <bimtdp/kernels/select.hpp>

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace bimtdp {

class Program {
 public:
  Program(std::shared_ptr<const Graph> graph, const kernels::KernelTable& kernels) : graph_(std::move(graph)), kernels_(&kernels) {
    ops_.reserve(graph_->nodes().size());
    for (NodeId id = 0; id < graph_->nodes().size(); ++id) ops_.push_back(prepare(*graph_, id, kernels));
  }
  explicit Program(Graph graph, const kernels::KernelTable& kernels = kernels::active())
      : Program(std::make_shared<const Graph>(std::move(graph)), kernels) {}

  [[nodiscard]] const Graph& graph() const { return *graph_; }
  [[nodiscard]] const kernels::KernelTable& kernels() const { return *kernels_; }
  [[nodiscard]] const PreparedOp& op(NodeId id) const { return ops_[id]; }

 private:
  std::shared_ptr<const Graph> graph_;
  const kernels::KernelTable* kernels_;
  std::vector<PreparedOp> ops_;
};

/// Runs one node on inputs that the caller gives, whatever the rest of the graph would make of them: for verification.
/// Throws Error when number, type or shape of the inputs do not fit the node.
[[nodiscard]] inline Value run_node(const Program& program, NodeId id, std::span<const Value> inputs, std::size_t threads = 1) {
  const Graph& graph = program.graph();
  check(id > 0 && id < graph.nodes().size(), "run_node", "node (got ", id, ", expected 1 to ", graph.nodes().size() - 1, ")");
  const Node& node = graph.nodes()[id];
  const std::string where = describe(id, node);
  check_equal(inputs.size(), node.inputs.size(), where, "number of inputs");
  std::vector<ValueRef> refs;
  std::vector<Shape> shapes;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const ValueInfo& expected = graph.values()[node.inputs[i]];
    check_equal(to_string(inputs[i].type()), to_string(expected.type), where, "type of input " + std::to_string(i));
    check_equal(inputs[i].shape().channels, expected.channels, where, "channels of input " + std::to_string(i));
    refs.push_back(inputs[i].ref());
    shapes.push_back(inputs[i].shape());
  }
  const Value result(graph.values()[id].type, infer_shape(graph, id, shapes, {}));
  AlignedVector<std::byte> scratch(std::visit(detail::ScratchRule{shapes, result.shape(), threads}, program.op(id)));
  const ops::Execution execution{&program.kernels(), threads, scratch};
  const ValueRef out = result.ref();
  std::visit(detail::OpRunner{refs, out, execution}, program.op(id));
  return result;
}

}  // namespace bimtdp
