// SPDX-License-Identifier: Apache-2.0
// Dataflow, found.
#pragma once

namespace bimtdp {

Shape infer_shape(const Graph& graph, NodeId id, std::span<const Shape> inputs) {
  const Node& node = graph.nodes()[id];
  const std::string where = label(id, node);
  const NodeShapes shapes{inputs, graph.values()[id].channels, where};
  const Shape shape = visit_node(node.op, [&](const auto& n, auto traits) { return traits.shape(n, shapes); });
  demand(shape.height >= 1 && shape.width >= 1 && shape.height <= max_extent && shape.width <= max_extent, where,
         "output size (got ", shape, ", expected 1 to ", max_extent, " pixels a side)");
  const Checked elements = Checked(shape.height) * shape.width * shape.channels;
  demand(elements.value() <= max_elements, where, "output too large (got ", shape, ", expected at most ", max_elements,
         " elements)");
  return shape;
}

namespace detail {

/// Work of a node and what it costs. `in`: the values that it reads.
inline void add_cost(Dataflow& flow, const Graph& graph, NodeId id, std::span<const Shape> in) {
  const Node& node = graph.nodes()[id];
  const Shape& out = flow.shapes[id];
  const auto bytes = [&](NodeId value) { return static_cast<double>(value_bytes(graph.values()[value].type, flow.shapes[value])); };
  Cost cost{.bytes = bytes(id)};
  for (const NodeId input : node.inputs) cost.bytes += bytes(input);
  visit_node(node.op, [&](const auto& n, auto traits) {
    const Checked work = traits.work(n, in, out) * out.height * out.width * out.channels;
    flow.work.push_back(work.value());
    const auto steps = static_cast<double>(work.value());
    if (traits.work_unit == WorkUnit::bit_pairs) cost.words = steps / 32.0;
    if (traits.work_unit == WorkUnit::macs) cost.macs = steps;
  });
  flow.costs.push_back(cost);
}

}  // namespace detail

Dataflow make_dataflow(const Graph& graph, std::size_t height, std::size_t width) {
  demand(height > 0 && width > 0 && height <= max_extent && width <= max_extent, "input", "size (got ", height, "x", width,
         ", expected 1 to ", max_extent, " pixels a side)");
  demand(height % graph.stride() == 0 && width % graph.stride() == 0, "input",
         "height and width must be multiples of the stride (got ", height, "x", width, ", expected multiples of ", graph.stride(),
         ")");
  const std::size_t count = graph.nodes().size();
  Dataflow flow;
  flow.uses.resize(count), flow.readers.resize(count), flow.is_output.resize(count);
  for (NodeId id = 0; id < count; ++id) {
    const Node& node = graph.nodes()[id];
    const std::vector<Shape> in = id == 0 ? std::vector{Shape{height, width, graph.values()[0].channels}} : flow.input_shapes(node);
    flow.shapes.push_back(infer_shape(graph, id, in));
    try {
      detail::add_cost(flow, graph, id, in);
    } catch (const Error& error) {  // too much work to count
      throw Error(label(id, node) + ": " + error.what());
    }
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      const RowUse use = visit_node(node.op, [&](const auto& n, auto traits) { return traits.row_use(n, i, in); });
      flow.uses[id].push_back(use);
      if (use != RowUse::none) flow.readers[node.inputs[i]].push_back({id, use});
    }
  }
  for (const Output& output : graph.outputs()) flow.is_output[output.node] = true;
  return flow;
}

}  // namespace bimtdp
