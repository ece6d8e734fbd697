// SPDX-License-Identifier: Apache-2.0
// Where the values of a plan lie.
#pragma once

#include <bimtdp/graph/dataflow.hpp>
#include <bimtdp/graph/graph.hpp>
#include <bimtdp/plan/schedule.hpp>
#include <bimtdp/plan/share_bytes.hpp>
#include <bimtdp/plan/steps.hpp>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <variant>
#include <vector>

namespace bimtdp {

/// In the arena, where values whose lifetimes do not meet share bytes and some ops overwrite their dying input.
struct InArena {
  std::size_t offset = 0;  ///< bytes, a multiple of 64
};
/// In the band of the step that makes it, a few rows of scratch memory of each thread: all its readers belong to that step.
struct InBand {
  std::size_t offset = 0;  ///< bytes in the band's memory, a multiple of 64
};
/// In the caller's memory: a float output of the network.
struct AtCaller {
  std::size_t output = 0;  ///< index among the graph's outputs
};
/// Inside the value of a concat of its step, which is its only reader.
struct InsideConcat {
  NodeId concat = 0;
  std::size_t channel = 0;  ///< its first one there
};

using Place = std::variant<InArena, InBand, AtCaller, InsideConcat>;

struct PlannedValue {
  Shape shape{};
  ValueType type = ValueType::floats;
  Place place = InArena{};
  std::size_t row_bytes = 0;  ///< of one row
  std::size_t bytes = 0;      ///< of all rows, or of a band

  template <class P>
  [[nodiscard]] const P* at() const {
    return std::get_if<P>(&place);
  }
};

namespace detail {

/// Writes place and bytes of the values; call its functions in their order here.
class ValuePlacer {
 public:
  ValuePlacer(const Graph& graph, const Dataflow& flow, std::vector<PlannedValue>& values, std::span<const Step> steps,
              std::span<const Stage> stages)
      : graph_(graph),
        flow_(flow),
        values_(values),
        steps_(steps),
        stages_(stages.size()),
        step_of_(step_of_nodes(steps, values.size())),
        index_in_step_(values.size()),
        stage_of_(stage_of_steps(stages, steps.size())) {
    for (const Step& step : steps)
      for (std::size_t i = 0; i < step.nodes.size(); ++i) index_in_step_[step.nodes[i]] = i;
  }

  void place_at_caller() {
    for (std::size_t i = graph_.outputs().size(); i-- > 0;) {
      const NodeId id = graph_.outputs()[i].node;
      if (values_[id].type == ValueType::floats && id != 0) values_[id].place = AtCaller{i};
    }
  }

  /// Lets values be written where a concat of their step wants them, instead of being copied there.
  void place_inside_concats() {
    for (const Step& step : steps_)
      for (const NodeId id : step.nodes) {
        if (!std::holds_alternative<ConcatNode>(graph_.nodes()[id].op) || values_[id].type != ValueType::floats) continue;
        std::size_t channel = 0;
        for (const NodeId input : graph_.nodes()[id].inputs) {
          if (step_of_[input] == step_of_[id] && may_go_inside(input)) values_[input].place = InsideConcat{id, channel};
          channel += values_[input].shape.channels;
        }
      }
  }

  /// Puts every value that only its own step reads into that step's band. Returns the bytes of the largest band.
  [[nodiscard]] std::size_t place_in_bands() {
    std::size_t most = 0;
    for (const Step& step : steps_)
      if (step.nodes.size() > 1) most = (std::max)(most, place_in_band(step));
    return most;
  }

  /// Returns the bytes of the arena. `keep_all`: every value outlives the run.
  [[nodiscard]] std::size_t place_in_arena(bool keep_all) {
    const std::vector<std::size_t> last = last_uses(keep_all);
    std::vector<Block> blocks;
    std::vector<std::size_t> block_of(values_.size());
    for (NodeId id = 0; id < values_.size(); ++id) {
      if (!values_[id].at<InArena>()) continue;
      if (const std::optional<NodeId> input = overwritten_input(id, last)) {
        block_of[id] = block_of[*input];
        blocks[block_of[id]].last = last[id];
      } else {
        block_of[id] = blocks.size();
        blocks.push_back({values_[id].bytes, stage_of(id), last[id], 0});
      }
    }
    const std::size_t bytes = share_bytes(blocks).size();
    for (NodeId id = 0; id < values_.size(); ++id)
      if (values_[id].at<InArena>()) values_[id].place = InArena{blocks[block_of[id]].offset};
    return bytes;
  }

 private:
  std::size_t place_in_band(const Step& step) {
    std::vector<Block> blocks;
    std::vector<NodeId> owner;
    for (const NodeId id : step.nodes) {
      if (values_[id].at<InsideConcat>() || !only_its_step_reads(id)) continue;
      std::size_t first = index_in_step_[id], last = first;
      for (const NodeId input : graph_.nodes()[id].inputs)
        if (const auto* inside = values_[input].at<InsideConcat>(); inside && inside->concat == id)
          first = (std::min)(first, index_in_step_[input]);
      for (const Reader& reader : flow_.readers[id]) last = (std::max)(last, index_in_step_[reader.node]);
      const Checked rows = Checked(rows_per(step, values_[id].shape.height)) * step.band;
      blocks.push_back({(rows * values_[id].row_bytes).size(), first, last, 0});
      owner.push_back(id);
    }
    const std::size_t bytes = share_bytes(blocks).size();
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      values_[owner[i]].place = InBand{blocks[i].offset};
      values_[owner[i]].bytes = blocks[i].bytes;
    }
    return bytes;
  }

  [[nodiscard]] bool only_its_step_reads(NodeId id) const {
    const auto here = [&](const Reader& reader) { return step_of_[reader.node] == step_of_[id]; };
    return !flow_.is_output[id] && std::ranges::all_of(flow_.readers[id], here);
  }
  /// Whether a node can write its pixels apart from each other, and nobody but one reader wants them.
  [[nodiscard]] bool may_go_inside(NodeId id) const {
    const bool strided = visit_node(graph_.nodes()[id].op, [](const auto& n, auto traits) { return traits.writes_strided(n); });
    return strided && flow_.readers[id].size() == 1 && !flow_.is_output[id];
  }
  [[nodiscard]] std::size_t stage_of(NodeId id) const { return id == 0 ? 0 : stage_of_[step_of_[id]]; }

  /// The last stage that reads each value; outputs, and in kept mode all values, outlive the last stage.
  [[nodiscard]] std::vector<std::size_t> last_uses(bool keep_all) const {
    std::vector<std::size_t> last(values_.size());
    for (NodeId id = 0; id < values_.size(); ++id) {
      last[id] = keep_all || flow_.is_output[id] ? stages_ : stage_of(id);
      for (const Reader& reader : flow_.readers[id]) last[id] = (std::max)(last[id], stage_of(reader.node));
    }
    return last;
  }

  /// The input that node `id` writes its value over: it dies in the node's stage, where nobody else reads it.
  [[nodiscard]] std::optional<NodeId> overwritten_input(NodeId id, const std::vector<std::size_t>& last) const {
    const Node& node = graph_.nodes()[id];
    const std::optional<std::size_t> index =
        visit_node(node.op, [&](const auto& n, auto traits) { return traits.overwrites(n, node.inputs.size()); });
    if (!index) return std::nullopt;
    const NodeId input = node.inputs[*index];
    if (!values_[input].at<InArena>() || last[input] != stage_of(id)) return std::nullopt;
    const auto in_this_stage = [&](const Reader& reader) { return stage_of(reader.node) == stage_of(id); };
    if (std::ranges::count_if(flow_.readers[input], in_this_stage) != 1) return std::nullopt;
    return input;
  }

  const Graph& graph_;
  const Dataflow& flow_;
  std::vector<PlannedValue>& values_;
  std::span<const Step> steps_;
  std::size_t stages_;                      // their number
  std::vector<std::size_t> step_of_;        // of a node
  std::vector<std::size_t> index_in_step_;  // of a node among those of its step
  std::vector<std::size_t> stage_of_;       // of a step
};

}  // namespace detail

}  // namespace bimtdp
