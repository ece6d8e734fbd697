// SPDX-License-Identifier: Apache-2.0
// Graph: what is validated.
#pragma once

#include <bimtdp/core/text.hpp>

#include <set>

namespace bimtdp {

Graph::Graph(std::vector<Node> nodes, Weights weights, std::vector<Output> outputs, std::size_t stride)
    : nodes_(std::move(nodes)), weights_(std::move(weights)), outputs_(std::move(outputs)), stride_(stride) {
  demand(stride_ >= 1 && stride_ <= max_extent, "graph", "stride (got ", stride_, ", expected 1 to ", max_extent, ")");
  check_nodes();
  demand(!outputs_.empty() && outputs_.size() <= max_outputs, "graph", "number of outputs (got ", outputs_.size(),
         ", expected 1 to ", max_outputs, ")");
  std::set<std::string> tasks;
  for (const Output& output : outputs_) {
    check_output(output);
    demand(tasks.insert(lower_case(output.task)).second, "graph", "two outputs for the task '", output.task,
           "' (got it twice, perhaps in capitals, expected it once)");
  }
}

void Graph::check_nodes() {
  demand(!nodes_.empty() && nodes_.size() <= max_nodes, "graph", "number of nodes (got ", nodes_.size(), ", expected 1 to ",
         max_nodes, ")");
  WeightUses uses;
  for (NodeId id = 0; id < nodes_.size(); ++id) {
    const Node& node = nodes_[id];
    demand(is_valid_name(node.name), "node " + std::to_string(id), "name (got ", in_quotes(node.name),
           ", expected 1 to 128 of A-Z a-z 0-9 _ .)");
    const std::string where = label(id, node);
    demand(std::holds_alternative<InputNode>(node.op) == (id == 0), where, "op (got ", op_name(node.op), ", expected ",
           id == 0 ? "input, for node 0" : "another than input, which node 0 is", ")");
    std::vector<ValueInfo> inputs;
    for (const NodeId input : node.inputs) {
      demand(input < id, where, "inputs (got node ", input, ", expected an earlier node)");
      inputs.push_back(values_[input]);
    }
    const NodeCheck context(where, weights_, std::move(inputs), uses);
    values_.push_back(visit_node(node.op, [&](const auto& n, auto traits) { return traits.validate(n, context); }));
    demand(values_.back().channels <= max_extent, where, "channels (got ", values_.back().channels, ", expected at most ",
           max_extent, ")");
  }
  check_uses(uses);
}

void Graph::check_uses(const WeightUses& uses) const {
  Checked stored = 0, packed = 0;
  for (const auto& [name, tensor] : weights_.tensors()) {
    const auto found = uses.find(name);
    demand(found != uses.end(), "graph", "no node uses the weight '", name, "' (got 0 uses, expected at least 1)");
    const Checked size = std::visit([](const auto& values) { return values.size(); }, tensor.values);
    stored = stored + size;
    packed = packed + size * found->second;
  }
  const Checked most = stored * 16 + (std::uint64_t{1} << 20);
  demand(packed <= most, "graph", "weights are shared by too many nodes or cut into too narrow groups (got ", packed.value(),
         " values once packed, expected at most ", most.value(), ")");
}

void Graph::check_output(const Output& output) const {
  demand(is_task_name(output.task), "output", "task (got ", in_quotes(output.task),
         ", expected 1 to 128 of A-Z a-z 0-9 _ ., with no dot at the ends, and no device of Windows)");
  const std::string where = "output '" + output.task + "'";
  demand(output.node < nodes_.size(), where, "node (got ", output.node, ", expected below ", nodes_.size(), ")");
  const ValueInfo& value = values_[output.node];
  demand(output.kind == OutputKind::raw || value.type == ValueType::floats, where, "type (got ", to_string(value.type),
         ", expected float)");
  const auto channels = [&](std::size_t expected) { check_equal(value.channels, expected, where, "channels"); };
  if (output.kind == OutputKind::classes) {
    demand(output.class_names.size() <= max_class_names, where, "class_names (got ", output.class_names.size(),
           ", expected at most ", max_class_names, ")");
    channels(output.class_names.size());
  } else {
    demand(output.class_names.empty(), where, "class_names (got ", output.class_names.size(),
           ", expected none: they belong to the kind classes)");
  }
  if (output.kind == OutputKind::depth || output.kind == OutputKind::edges) channels(1);
  if (output.kind == OutputKind::normals) channels(3);
  for (const std::string& name : output.class_names)
    demand(!name.empty() && name.size() <= 128 && is_printable(name), where, "class_names (got ", in_quotes(printable(name)),
           ", expected 1 to 128 bytes of printable UTF-8)");
}

}  // namespace bimtdp
