// SPDX-License-Identifier: Apache-2.0
// Steps: nodes that run together over bands of output rows, so that what flows between them stays in the caches.
//
// A node joins the step of its latest input where it needs only the same rows of what that step makes. Then whole steps, and
// after them single nodes, move into their only reader where that needs only the same rows of theirs: a map that is made just
// before it is read never exists as a whole. All of it keeps the order of dependence: a step's inputs come from earlier steps.
#pragma once

#include <bimtdp/graph/graph.hpp>
#include <bimtdp/graph/rows.hpp>
#include <bimtdp/graph/value.hpp>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <limits>
#include <span>
#include <utility>
#include <vector>

namespace bimtdp {

struct Step {
  std::vector<NodeId> nodes{};  ///< in the order in which they run
  bool by_rows = false;         ///< false: one node that needs its inputs whole and gives its output whole
  std::size_t rows = 0;         ///< every node's output has so many rows, or a multiple: then several of its rows count as one
};

namespace detail {

class StepMaker {
 public:
  StepMaker(const Graph& graph, std::span<const Shape> shapes)
      : graph_(graph), shapes_(shapes), step_of_(graph.nodes().size(), none) {
    for (NodeId id = 0; id < shapes.size(); ++id)
      for (std::size_t i = 0; i < graph.nodes()[id].inputs.size(); ++i)
        if (use(id, i) != RowUse::none) readers_.push_back({graph.nodes()[id].inputs[i], id, use(id, i)});
    std::ranges::stable_sort(readers_, {}, &Reader::value);
    is_output_.resize(shapes.size());
    for (const Output& output : graph.outputs()) is_output_[output.node] = true;
  }

  [[nodiscard]] std::vector<Step> make(bool fuse) {
    for (NodeId id = 1; id < shapes_.size(); ++id) {
      const std::size_t latest = latest_input(id);
      if (fuse && latest != none && joins(id, latest)) {
        put(id, latest);
      } else {
        steps_.push_back({{}, runs_by_rows(graph_.nodes()[id].op), shapes_[id].height});
        put(id, steps_.size() - 1);
      }
    }
    if (fuse) {
      for (std::size_t s = steps_.size(); s-- > 0;) move_to_reader(s);
      for (NodeId id = shapes_.size(); id-- > 1;) move_node_to_reader(id);
    }
    std::erase_if(steps_, [](const Step& step) { return step.nodes.empty(); });
    return std::move(steps_);
  }

 private:
  static constexpr std::size_t none = std::numeric_limits<std::size_t>::max();
  struct Reader {
    NodeId value, node;
    RowUse use;
  };

  [[nodiscard]] RowUse use(NodeId id, std::size_t input) const {
    const Node& node = graph_.nodes()[id];
    std::vector<Shape> shapes;
    for (const NodeId i : node.inputs) shapes.push_back(shapes_[i]);
    return row_use(node.op, input, shapes);
  }
  void put(NodeId id, std::size_t step) {
    steps_[step].nodes.push_back(id);
    steps_[step].rows = std::min(steps_[step].rows, shapes_[id].height);
    step_of_[id] = step;
  }
  /// Whether nodes of so many rows can share a step: its rows are the fewer. Few rows would leave nothing to split.
  [[nodiscard]] static bool compatible(std::size_t a, std::size_t b) {
    constexpr std::size_t most = 4;
    return std::max(a, b) % std::min(a, b) == 0 && std::max(a, b) / std::min(a, b) <= most;
  }
  /// The latest step that makes an input, or none.
  [[nodiscard]] std::size_t latest_input(NodeId id) const {
    std::size_t latest = none;
    const std::vector<NodeId>& inputs = graph_.nodes()[id].inputs;
    for (std::size_t i = 0; i < inputs.size(); ++i)
      if (inputs[i] != 0 && use(id, i) != RowUse::none && (latest == none || step_of_[inputs[i]] > latest))
        latest = step_of_[inputs[i]];
    return latest;
  }
  [[nodiscard]] bool joins(NodeId id, std::size_t step) const {
    if (!steps_[step].by_rows || !runs_by_rows(graph_.nodes()[id].op) || !compatible(steps_[step].rows, shapes_[id].height))
      return false;
    const std::vector<NodeId>& inputs = graph_.nodes()[id].inputs;
    for (std::size_t i = 0; i < inputs.size(); ++i)
      if (step_of_[inputs[i]] == step && use(id, i) == RowUse::whole) return false;
    return true;
  }
  /// The readers of a value.
  [[nodiscard]] std::span<const Reader> readers(NodeId id) const {
    const auto below = [](const Reader& a, const Reader& b) { return a.value < b.value; };
    const auto [begin, end] = std::equal_range(readers_.begin(), readers_.end(), Reader{id, 0, RowUse::none}, below);
    return {begin, end};
  }
  /// Narrows `only` to the one step other than s that reads the value, needing only the same rows; false where there is none.
  [[nodiscard]] bool narrow(NodeId id, std::size_t s, std::size_t& only) const {
    if (is_output_[id]) return false;
    for (const Reader& reader : readers(id)) {
      const std::size_t step = step_of_[reader.node];
      if (step == s) continue;
      if (reader.use != RowUse::same || (only != none && only != step)) return false;
      only = step;
    }
    return true;
  }
  [[nodiscard]] bool fits(std::size_t s, std::size_t reader) const {
    return reader != none && steps_[s].by_rows && steps_[reader].by_rows && compatible(steps_[s].rows, steps_[reader].rows);
  }
  void move_to_reader(std::size_t s) {
    std::size_t reader = none;
    std::vector<NodeId>& nodes = steps_[s].nodes;
    for (const NodeId id : nodes)
      if (!narrow(id, s, reader)) return;
    if (!fits(s, reader)) return;
    for (const NodeId id : nodes) step_of_[id] = reader;
    std::ranges::copy(steps_[reader].nodes, std::back_inserter(nodes));  // GCC 14 takes insert() for an overflow
    steps_[reader].nodes = std::move(nodes);
    steps_[reader].rows = std::min(steps_[s].rows, steps_[reader].rows);
    nodes.clear();
  }
  /// Worth it where the value is larger than those of its step that it would make outlive that step.
  void move_node_to_reader(NodeId id) {
    const std::size_t s = step_of_[id];
    std::size_t reader = none;
    if (!narrow(id, s, reader) || !fits(s, reader)) return;
    for (const Reader& r : readers(id))
      if (step_of_[r.node] == s) return;
    std::size_t outliving = 0;
    for (const NodeId input : graph_.nodes()[id].inputs)
      if (step_of_[input] == s && std::ranges::all_of(readers(input), [&](const Reader& r) { return step_of_[r.node] == s; }))
        outliving += bytes(input);
    if (outliving >= bytes(id)) return;
    std::erase(steps_[s].nodes, id);
    steps_[reader].nodes.insert(steps_[reader].nodes.begin(), id);
    steps_[reader].rows = std::min(steps_[reader].rows, shapes_[id].height);
    step_of_[id] = reader;
  }
  [[nodiscard]] std::size_t bytes(NodeId id) const { return value_bytes(graph_.values()[id].type, shapes_[id]); }

  const Graph& graph_;
  std::span<const Shape> shapes_;
  std::vector<Step> steps_{};
  std::vector<std::size_t> step_of_;
  std::vector<Reader> readers_{};  // sorted by value
  std::vector<bool> is_output_{};
};

}  // namespace detail

/// The steps of a graph for one input size, in an order in which they can run. `fuse` false gives every node its own.
[[nodiscard]] inline std::vector<Step> make_steps(const Graph& graph, std::span<const Shape> shapes, bool fuse) {
  return detail::StepMaker(graph, shapes).make(fuse);
}

}  // namespace bimtdp
