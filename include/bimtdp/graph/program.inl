// SPDX-License-Identifier: Apache-2.0
// Program: ops prepared and run.
#pragma once

namespace bimtdp {

namespace detail {

/// The op of node `id`, its weights packed for `kernels`. Throws Error, which names the node, where its numbers are too large.
[[nodiscard]] inline PreparedOp prepare(const Graph& graph, NodeId id, const kernels::KernelTable& kernels) {
  const Node& node = graph.nodes()[id];
  const std::size_t in = node.inputs.empty() ? 0 : graph.values()[node.inputs[0]].channels;
  const NodePreparation preparation{graph.weights(), kernels, in, graph.values()[id].channels, node.inputs.size()};
  try {
    return std::visit([&]<class N>(const N& n) -> PreparedOp { return Prepared<N>{NodeTraits<N>::prepare(n, preparation)}; },
                      node.op);
  } catch (const Error& error) {
    throw Error(label(id, node) + ": " + error.what());
  }
}

}  // namespace detail

Program::Program(std::shared_ptr<const Graph> graph, const kernels::KernelTable& kernels)
    : graph_(std::move(graph)), kernels_(&kernels) {
  const FloatState standard;
  ops_.reserve(graph_->nodes().size());
  for (NodeId id = 0; id < graph_->nodes().size(); ++id) ops_.push_back(detail::prepare(*graph_, id, kernels));
}

std::size_t Program::scratch_bytes(NodeId id, std::span<const Shape> inputs, const Shape& out) const {
  return std::visit(
      [&]<class N>(const detail::Prepared<N>& prepared) { return NodeTraits<N>::scratch_bytes(prepared.op, inputs, out); },
      ops_[id]);
}

void Program::run(NodeId id, const NodeRows& rows) const {
  std::visit([&]<class N>(const detail::Prepared<N>& prepared) { NodeTraits<N>::run(prepared.op, rows); }, ops_[id]);
}

Value run_node(const Program& program, NodeId id, std::span<const Value> inputs) {
  const FloatState standard;
  const Graph& graph = program.graph();
  demand(id > 0 && id < graph.nodes().size(), "run_node", "node (got ", id, ", expected 1 to ", graph.nodes().size() - 1, ")");
  const Node& node = graph.nodes()[id];
  const std::string where = label(id, node);
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
  Value result(graph.values()[id].type, infer_shape(graph, id, shapes));
  const ops::OwnWorkspace workspace(program.kernels(), program.scratch_bytes(id, shapes, result.shape()));
  program.run(id, {.in = refs, .destination = result.ref(), .height = result.shape().height, .workspace = workspace});
  return result;
}

}  // namespace bimtdp
