// SPDX-License-Identifier: Apache-2.0
// Steps: nodes that run together over bands of output rows, so that what flows between them stays in the caches.
//
// Nodes share a step where each needs, of what the others make, only the same rows. Three passes put them together; all of them
// keep the order of dependence: a step's inputs come from earlier steps.
#pragma once

#include <bimtdp/graph/dataflow.hpp>
#include <bimtdp/graph/graph.hpp>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>
#include <utility>
#include <vector>

namespace bimtdp {

struct Step {
  std::vector<NodeId> nodes{};  ///< in the order in which they run
  bool by_rows = false;         ///< false: one node that needs its inputs whole and gives its output whole
  std::size_t rows = 0;         ///< every node's output has so many rows, or a multiple: then several of its rows count as one
  std::size_t band = 0;         ///< rows that run through all nodes before the next rows do
};

/// How many rows of a node's value of this height count as one row of the step.
[[nodiscard]] inline std::size_t rows_per(const Step& step, std::size_t height) { return height / step.rows; }

/// The step of every node; that of the input is the number of steps.
[[nodiscard]] inline std::vector<std::size_t> step_of_nodes(std::span<const Step> steps, std::size_t nodes) {
  std::vector<std::size_t> step_of(nodes, steps.size());
  for (std::size_t s = 0; s < steps.size(); ++s)
    for (const NodeId id : steps[s].nodes) step_of[id] = s;
  return step_of;
}

namespace detail {

class StepMaker {
 public:
  StepMaker(const Graph& graph, const Dataflow& flow) : graph_(graph), flow_(flow), step_of_(graph.nodes().size(), none) {}

  [[nodiscard]] std::vector<Step> make(bool fuse, std::size_t band_bytes) {
    for (NodeId id = 1; id < step_of_.size(); ++id) join_latest_input(id, fuse);
    if (fuse) {
      for (std::size_t s = steps_.size(); s-- > 0;) merge_into_reader(s);
      for (NodeId id = step_of_.size(); id-- > 1;) move_into_reader(id);
    }
    std::erase_if(steps_, [](const Step& step) { return step.nodes.empty(); });
    for (Step& step : steps_) step.band = band_rows(step, band_bytes);
    return std::move(steps_);
  }

 private:
  static constexpr std::size_t none = (std::numeric_limits<std::size_t>::max)();

  /// Pass 1. A node joins the step of its latest input where it needs only the same rows of what that step makes:
  ///   [conv] -> relu, [stem] -> add        becomes   [stem] -> [conv, relu, add]
  void join_latest_input(NodeId id, bool fuse) {
    std::size_t step = latest_input(id);
    if (!fuse || step == none || !joins(id, step)) {
      step = steps_.size();
      steps_.push_back({{}, by_rows(id), height(id)});
    }
    steps_[step].nodes.push_back(id);
    steps_[step].rows = (std::min)(steps_[step].rows, height(id));
    step_of_[id] = step;
  }

  /// Pass 2, backwards. A whole step moves into the only step that reads it, where that needs only the same rows:
  ///   [a, b] -b-> [c, d]                   becomes   [a, b, c, d]
  void merge_into_reader(std::size_t s) {
    std::size_t reader = none;
    std::vector<NodeId>& nodes = steps_[s].nodes;
    for (const NodeId id : nodes)
      if (!narrow(id, s, reader)) return;
    if (!compatible(s, reader)) return;
    for (const NodeId id : nodes) step_of_[id] = reader;
    for (const NodeId id : steps_[reader].nodes) nodes.push_back(id);
    steps_[reader].nodes = std::exchange(nodes, {});
    steps_[reader].rows = (std::min)(steps_[s].rows, steps_[reader].rows);
  }

  /// Pass 3, backwards. A single node moves into the only step that reads it, so that a map made just before it is read never
  /// exists as a whole. Worth it where that map is larger than those that must outlive their step for it:
  ///   [a, b] -b-> [c]                      becomes   [a] -a-> [b, c]
  ///     \-a-> [d]                                      \-a-> [d]
  void move_into_reader(NodeId id) {
    const std::size_t s = step_of_[id];
    std::size_t reader = none;
    if (!narrow(id, s, reader) || !compatible(s, reader) || !only_read_elsewhere(id)) return;
    std::size_t outliving = 0;
    for (const NodeId input : graph_.nodes()[id].inputs)
      if (step_of_[input] == s && only_read_here(input)) outliving += bytes(input);
    if (outliving >= bytes(id)) return;
    std::erase(steps_[s].nodes, id);
    std::vector<NodeId> nodes{id};
    for (const NodeId other : steps_[reader].nodes) nodes.push_back(other);
    steps_[reader].nodes = std::move(nodes);
    steps_[reader].rows = (std::min)(steps_[reader].rows, height(id));
    step_of_[id] = reader;
  }

  /// The latest step that makes an input, or none.
  [[nodiscard]] std::size_t latest_input(NodeId id) const {
    std::size_t latest = none;
    const std::vector<NodeId>& inputs = graph_.nodes()[id].inputs;
    for (std::size_t i = 0; i < inputs.size(); ++i)
      if (inputs[i] != 0 && flow_.uses[id][i] != RowUse::none && (latest == none || step_of_[inputs[i]] > latest))
        latest = step_of_[inputs[i]];
    return latest;
  }
  [[nodiscard]] bool joins(NodeId id, std::size_t step) const {
    if (!steps_[step].by_rows || !by_rows(id) || !compatible_rows(steps_[step].rows, height(id))) return false;
    const std::vector<NodeId>& inputs = graph_.nodes()[id].inputs;
    for (std::size_t i = 0; i < inputs.size(); ++i)
      if (step_of_[inputs[i]] == step && flow_.uses[id][i] == RowUse::whole) return false;
    return true;
  }
  /// Narrows `only` to the one step other than s that reads the value, needing only the same rows; false where there is none.
  [[nodiscard]] bool narrow(NodeId id, std::size_t s, std::size_t& only) const {
    if (flow_.is_output[id]) return false;
    for (const Reader& reader : flow_.readers[id]) {
      const std::size_t step = step_of_[reader.node];
      if (step == s) continue;
      if (reader.use != RowUse::same || (only != none && only != step)) return false;
      only = step;
    }
    return true;
  }
  [[nodiscard]] bool only_read_here(NodeId id) const {
    return std::ranges::all_of(flow_.readers[id], [&](const Reader& r) { return step_of_[r.node] == step_of_[id]; });
  }
  [[nodiscard]] bool only_read_elsewhere(NodeId id) const {
    return std::ranges::none_of(flow_.readers[id], [&](const Reader& r) { return step_of_[r.node] == step_of_[id]; });
  }
  /// Whether nodes of so many rows can share a step: its rows are the fewer. Few rows would leave nothing to split.
  [[nodiscard]] static bool compatible_rows(std::size_t a, std::size_t b) {
    constexpr std::size_t most = 4;
    return (std::max)(a, b) % (std::min)(a, b) == 0 && (std::max)(a, b) / (std::min)(a, b) <= most;
  }
  [[nodiscard]] bool compatible(std::size_t s, std::size_t reader) const {
    return reader != none && steps_[s].by_rows && steps_[reader].by_rows && compatible_rows(steps_[s].rows, steps_[reader].rows);
  }
  /// As many rows as the nodes together write `band_bytes` bytes for, at least one; all rows of a step of one node.
  [[nodiscard]] std::size_t band_rows(const Step& step, std::size_t band_bytes) const {
    if (step.nodes.size() == 1) return step.rows;
    std::size_t row_bytes = 0;
    for (const NodeId id : step.nodes) row_bytes += bytes(id) / height(id) * rows_per(step, height(id));
    return std::clamp<std::size_t>(band_bytes / row_bytes, 1, step.rows);
  }
  [[nodiscard]] bool by_rows(NodeId id) const {
    return visit_node(graph_.nodes()[id].op, [](const auto&, auto traits) { return traits.by_rows; });
  }
  [[nodiscard]] std::size_t height(NodeId id) const { return flow_.shapes[id].height; }
  [[nodiscard]] std::size_t bytes(NodeId id) const { return value_bytes(graph_.values()[id].type, flow_.shapes[id]); }

  const Graph& graph_;
  const Dataflow& flow_;
  std::vector<Step> steps_{};
  std::vector<std::size_t> step_of_;
};

}  // namespace detail

/// The steps of a graph, in an order in which they can run. `fuse` false gives every node its own. `band_bytes`: how many bytes
/// the nodes of a step write before the next rows' turn.
[[nodiscard]] inline std::vector<Step> make_steps(const Graph& graph, const Dataflow& flow, bool fuse, std::size_t band_bytes) {
  return detail::StepMaker(graph, flow).make(fuse, band_bytes);
}

}  // namespace bimtdp
