// SPDX-License-Identifier: Apache-2.0
// Where the values of a plan lie:
//   in the arena, where values whose lifetimes do not meet share bytes and some ops overwrite their dying input; or,
//   where all its readers belong to the step that makes it, in that step's band: a few rows of scratch memory of each thread; or,
//   where it is a float output of the network, in the caller's memory; or,
//   where a concat of its step is its only reader, inside the value that the concat makes.
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
        index_in_step_(values.size()),
        stage_of_(steps.size()),
        readers_(values.size()),
        is_output_(values.size()) {
    for (std::size_t s = 0; s < steps.size(); ++s)
      for (std::size_t i = 0; i < steps[s].nodes.size(); ++i) {
        step_of_[steps[s].nodes[i]] = s;
        index_in_step_[steps[s].nodes[i]] = i;
      }
    for (NodeId id = 0; id < values.size(); ++id)
      for (const NodeId input : graph.nodes()[id].inputs) readers_[input].push_back(id);
    for (const Output& output : graph.outputs()) is_output_[output.node] = true;
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
    std::size_t most = 0;
    for (const PlannedStep& step : steps_)
      if (step.nodes.size() > 1) most = std::max(most, place_band(step));
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

  std::size_t place_band(const PlannedStep& step) {
    std::vector<Block> blocks;
    std::vector<NodeId> owner;
    for (const NodeId id : step.nodes) {
      if (values_[id].place == Place::inside || !only_its_step_reads(id)) continue;
      std::size_t first = index_in_step_[id], last = first;
      for (const NodeId input : graph_.nodes()[id].inputs)
        if (values_[input].place == Place::inside && values_[input].inside == id) first = std::min(first, index_in_step_[input]);
      for (const NodeId reader : readers_[id]) last = std::max(last, index_in_step_[reader]);
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

  [[nodiscard]] bool only_its_step_reads(NodeId id) const {
    const auto here = [&](NodeId reader) { return step_of_[reader] == step_of_[id]; };
    return !is_output_[id] && std::all_of(readers_[id].begin(), readers_[id].end(), here);
  }

  /// Whether a node can write its pixels apart from each other, and nobody but one reader wants them.
  [[nodiscard]] bool may_go_inside(NodeId id) const {
    const auto* resize = std::get_if<ResizeNode>(&graph_.nodes()[id].op);
    if (resize == nullptr || resize->mode != ResizeMode::bilinear) return false;
    return readers_[id].size() == 1 && !is_output_[id];
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
    const auto in_this_stage = [&](NodeId reader) { return stage_of(reader) == stage_of(id); };
    return std::count_if(readers_[input].begin(), readers_[input].end(), in_this_stage) == 1 ? input : none;
  }

  const Graph& graph_;
  std::vector<PlannedValue>& values_;
  std::span<const PlannedStep> steps_;
  std::size_t stages_;                         // their number
  std::vector<std::size_t> step_of_;           // of a node; that of the input is the number of steps
  std::vector<std::size_t> index_in_step_;     // of a node among those of its step
  std::vector<std::size_t> stage_of_;          // of a step
  std::vector<std::vector<NodeId>> readers_;   // of a value; one that reads it twice stands there twice
  std::vector<bool> is_output_;                // of a value
};

}  // namespace bimtdp::detail
