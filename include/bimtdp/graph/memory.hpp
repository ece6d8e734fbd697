// SPDX-License-Identifier: Apache-2.0
// Where the values of a plan lie:
//   in the arena, where values whose lifetimes do not meet share bytes and some ops overwrite their dying input; or,
//   where all its readers belong to the step that makes it, in that step's band: a few rows of scratch memory of each thread; or,
//   where it is a float output of the network, in the caller's memory.
#pragma once

#include <bimtdp/graph/graph.hpp>
#include <bimtdp/graph/placement.hpp>
#include <bimtdp/graph/planned.hpp>
#include <bimtdp/graph/schedule.hpp>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>
#include <variant>
#include <vector>

namespace bimtdp::detail {

/// Writes place, offset and bytes of the values; call its functions in their order here.
class ValuePlacer {
 public:
  ValuePlacer(const Graph& graph, std::vector<PlannedValue>& values, std::span<const PlannedStep> steps,
              std::span<const Stage> stages)
      : graph_(graph),
        values_(values),
        steps_(steps),
        stages_(stages.size()),
        step_of_(values.size(), steps.size()),
        stage_of_(steps.size()) {
    for (std::size_t s = 0; s < steps.size(); ++s)
      for (const NodeId id : steps[s].nodes) step_of_[id] = s;
    for (std::size_t stage = 0; stage < stages.size(); ++stage)
      for (const std::size_t step : stages[stage].steps) stage_of_[step] = stage;
  }

  void place_outputs() {
    for (std::size_t i = graph_.outputs().size(); i-- > 0;) {
      PlannedValue& value = values_[graph_.outputs()[i].node];
      if (value.type != ValueType::floats || graph_.outputs()[i].node == 0) continue;
      value.place = Place::caller;
      value.offset = i;
    }
  }

  /// Lets values be written where a concat of their step wants them, instead of being copied there.
  void place_inside() {
    for (const PlannedStep& step : steps_)
      for (const NodeId id : step.nodes) {
        if (!std::holds_alternative<ConcatNode>(graph_.nodes()[id].op) || values_[id].type != ValueType::floats) continue;
        std::size_t channel = 0;
        for (const NodeId input : graph_.nodes()[id].inputs) {
          if (step_of_[input] == step_of_[id] && may_go_inside(input)) {
            values_[input].place = Place::inside;
            values_[input].inside = id;
            values_[input].offset = channel;
          }
          channel += values_[input].shape.channels;
        }
      }
  }

  /// Puts every value that only its own step reads into that step's band.
  /// Returns the bytes of the largest band.
  [[nodiscard]] std::size_t place_bands() {
    std::vector<bool> in_band(values_.size(), true);
    in_band[0] = false;
    for (const Output& output : graph_.outputs()) in_band[output.node] = false;
    for (NodeId id = 0; id < values_.size(); ++id)
      for (const NodeId input : graph_.nodes()[id].inputs)
        if (step_of_[input] != step_of_[id]) in_band[input] = false;
    std::size_t most = 0;
    for (const PlannedStep& step : steps_) most = std::max(most, place_band(step, in_band));
    return most;
  }

  /// Returns the bytes of the arena. `keep_all`: every value outlives the run.
  [[nodiscard]] std::size_t place_arena(bool keep_all) {
    const std::vector<std::size_t> last = last_uses(keep_all);
    std::vector<Block> blocks;
    std::vector<std::size_t> block_of(values_.size());
    for (NodeId id = 0; id < values_.size(); ++id) {
      if (values_[id].place != Place::arena) continue;
      if (const std::size_t input = overwritten_input(id, last); input != none) {
        block_of[id] = block_of[input];
        blocks[block_of[id]].last = last[id];
      } else {
        block_of[id] = blocks.size();
        blocks.push_back({values_[id].bytes, stage_of(id), last[id], 0});
      }
    }
    const std::size_t bytes = place(blocks).size();
    for (NodeId id = 0; id < values_.size(); ++id)
      if (values_[id].place == Place::arena) values_[id].offset = blocks[block_of[id]].offset;
    return bytes;
  }

 private:
  static constexpr std::size_t none = std::numeric_limits<std::size_t>::max();

  std::size_t place_band(const PlannedStep& step, const std::vector<bool>& in_band) {
    std::vector<Block> blocks;
    std::vector<NodeId> owner;
    for (std::size_t i = 0; i < step.nodes.size() && step.nodes.size() > 1; ++i) {
      const NodeId id = step.nodes[i];
      if (!in_band[id] || values_[id].place == Place::inside) continue;
      std::size_t first = i, last = i;
      for (std::size_t j = 0; j < i; ++j)
        if (values_[step.nodes[j]].place == Place::inside && values_[step.nodes[j]].inside == id) first = std::min(first, j);
      for (std::size_t j = i + 1; j < step.nodes.size(); ++j) {
        const std::vector<NodeId>& inputs = graph_.nodes()[step.nodes[j]].inputs;
        if (std::find(inputs.begin(), inputs.end(), id) != inputs.end()) last = j;
      }
      blocks.push_back({(Checked(values_[id].row_bytes) * values_[id].rows_per(step) * step.band).size(), first, last, 0});
      owner.push_back(id);
    }
    const std::size_t bytes = place(blocks).size();
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      PlannedValue& value = values_[owner[i]];
      value.place = Place::band;
      value.offset = blocks[i].offset;
      value.bytes = blocks[i].bytes;
    }
    return bytes;
  }

  /// Whether a node can write its pixels apart from each other, and nobody but one reader wants them.
  [[nodiscard]] bool may_go_inside(NodeId id) const {
    const auto* resize = std::get_if<ResizeNode>(&graph_.nodes()[id].op);
    if (resize == nullptr || resize->mode != ResizeMode::bilinear) return false;
    std::ptrdiff_t readers = 0;
    for (const Node& node : graph_.nodes()) readers += std::count(node.inputs.begin(), node.inputs.end(), id);
    for (const Output& output : graph_.outputs()) readers += output.node == id;
    return readers == 1;
  }
  /// The input that a node may write its result over, element by element; none where it may not: `none`.
  [[nodiscard]] static std::size_t overwritable(const Node& node) {
    const NodeOp& op = node.op;
    if (std::holds_alternative<Conv2dNode>(op) || std::holds_alternative<BinaryConv2dNode>(op))
      return node.inputs.size() > 1 ? 1 : none;  // the residual
    const bool first = std::holds_alternative<AffineNode>(op) || std::holds_alternative<ActivationNode>(op) ||
                       std::holds_alternative<AddNode>(op) || std::holds_alternative<MultiplyNode>(op) ||
                       std::holds_alternative<SoftmaxNode>(op) || std::holds_alternative<L2NormalizeNode>(op);
    return first ? 0 : none;
  }
  [[nodiscard]] std::size_t stage_of(NodeId id) const { return id == 0 ? 0 : stage_of_[step_of_[id]]; }

  /// The last stage that reads each value; outputs, and in kept mode all values, outlive the last stage.
  [[nodiscard]] std::vector<std::size_t> last_uses(bool keep_all) const {
    std::vector<std::size_t> last(values_.size());
    for (NodeId id = 0; id < values_.size(); ++id) {
      last[id] = keep_all ? stages_ : stage_of(id);
      for (std::size_t i = 0; i < values_[id].uses.size(); ++i)
        if (values_[id].uses[i] != RowUse::none) {
          const NodeId input = graph_.nodes()[id].inputs[i];
          last[input] = std::max(last[input], stage_of(id));
        }
    }
    for (const Output& output : graph_.outputs()) last[output.node] = stages_;
    return last;
  }

  /// The input that node `id` writes its value over: it dies in the node's stage, where nobody else reads it. Or `none`.
  [[nodiscard]] std::size_t overwritten_input(NodeId id, const std::vector<std::size_t>& last) const {
    const std::size_t index = overwritable(graph_.nodes()[id]);
    if (index == none || values_[id].place != Place::arena) return none;
    const NodeId input = graph_.nodes()[id].inputs[index];
    if (values_[input].place != Place::arena || last[input] != stage_of(id)) return none;
    std::size_t readers = 0;
    for (NodeId other = input + 1; other < values_.size(); ++other) {
      const std::vector<NodeId>& inputs = graph_.nodes()[other].inputs;
      if (stage_of(other) == stage_of(id)) readers += static_cast<std::size_t>(std::count(inputs.begin(), inputs.end(), input));
    }
    return readers == 1 ? input : none;
  }

  const Graph& graph_;
  std::vector<PlannedValue>& values_;
  std::span<const PlannedStep> steps_;
  std::size_t stages_;                 // their number
  std::vector<std::size_t> step_of_;   // of a node; that of the input is the number of steps
  std::vector<std::size_t> stage_of_;  // of a step
};

}  // namespace bimtdp::detail
