// SPDX-License-Identifier: Apache-2.0
// A plan as text, written.
#pragma once

#include <bimtdp/core/text_stream.hpp>

#include <iomanip>

namespace bimtdp {

namespace detail {

/// A node and where its value lies.
inline void describe_place(std::ostream& text, const Graph& graph, const PlannedValue& value, NodeId id) {
  const Node& node = graph.nodes()[id];
  const std::string name = std::string(op_name(node.op)) + ' ' + node.name;
  if (value.at<InBand>()) text << '[' << name << ']';
  if (const auto* arena = value.at<InArena>()) text << name << " @" << arena->offset;
  if (const auto* caller = value.at<AtCaller>()) text << name << " -> " << graph.outputs()[caller->output].task;
  if (const auto* inside = value.at<InsideConcat>())
    text << name << " in " << graph.nodes()[inside->concat].name << '+' << inside->channel;
}

/// The rows of the pieces that each step is cut into, " | rows 0-60, 60-120"; nothing for a step of one piece.
[[nodiscard]] inline std::vector<std::string> describe_pieces(const Plan& plan) {
  std::vector<std::size_t> count(plan.steps().size());
  std::vector<std::string> result(plan.steps().size());
  for (const Stage& stage : plan.stages())
    for (const std::vector<Piece>& list : stage.pieces)
      for (const Piece& piece : list) {
        std::string& rows = result[piece.step];
        rows += (count[piece.step]++ == 0 ? " | rows " : ", ") + std::to_string(piece.begin) + '-' + std::to_string(piece.end);
      }
  for (std::size_t step = 0; step < count.size(); ++step)
    if (count[step] < 2) result[step].clear();
  return result;
}

}  // namespace detail

std::string describe(const Graph& graph, const Plan& plan, const Rates& rates) {
  TextStream text;
  text << std::fixed << std::setprecision(1);
  double bound = 0.0;
  for (const Step& step : plan.steps()) bound += plan.cost(step).bound(rates);
  text << "input " << plan.input() << ", " << plan.threads() << (plan.threads() == 1 ? " thread, " : " threads, ")
       << plan.steps().size() << " steps in " << plan.stages().size() << " stages; "
       << static_cast<double>(plan.arena_bytes()) / 1e6 << " MB for values and scratch memory; bound " << bound * 1e3 << " ms\n"
       << " step stage  rows  band   Mwords    Mmacs       MB  share  nodes\n";
  const std::vector<std::size_t> stage_of = stage_of_steps(plan.stages(), plan.steps().size());
  const std::vector<std::string> pieces = detail::describe_pieces(plan);
  for (std::size_t s = 0; s < plan.steps().size(); ++s) {
    const Step& step = plan.steps()[s];
    const Cost cost = plan.cost(step);
    text << std::setw(5) << s << std::setw(6) << stage_of[s] << std::setw(6) << step.rows << std::setw(6) << step.band
         << std::setw(9) << cost.words / 1e6 << std::setw(9) << cost.macs / 1e6 << std::setw(9) << cost.bytes / 1e6 << std::setw(6)
         << 100.0 * cost.bound(rates) / bound << '%';
    const char* separator = "  ";
    for (const NodeId id : step.nodes) {
      text << separator;
      detail::describe_place(text, graph, plan.values()[id], id);
      separator = ", ";
    }
    text << pieces[s] << '\n';
  }
  return text.str();
}

}  // namespace bimtdp
