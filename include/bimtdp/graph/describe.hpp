// SPDX-License-Identifier: Apache-2.0
// A plan as text: one line a step.
#pragma once

#include <bimtdp/graph/plan.hpp>

#include <cstddef>
#include <iomanip>
#include <sstream>
#include <string>
#include <vector>

namespace bimtdp {

/// A table of the steps: stage, rows of a band, the number of threads, words of xor + popcount and float multiply-adds in
/// millions, megabytes of inputs and outputs, the share of the sum of all bounds at `rates`, and the nodes. Values in brackets
/// stay in the step's band.
[[nodiscard]] inline std::string describe(const Program& program, const Plan& plan, const Rates& rates = {}) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(1);
  double bound = 0.0;
  for (const PlannedStep& step : plan.steps()) bound += step.cost().bound(rates);
  text << "input " << plan.input() << ", " << plan.threads() << (plan.threads() == 1 ? " thread, " : " threads, ")
       << plan.steps().size() << " steps in " << plan.stages().size() << " stages; "
       << static_cast<double>(plan.arena_bytes()) / 1e6 << " MB for values and scratch memory; bound " << bound * 1e3 << " ms\n"
       << " step stage  rows  band threads   Mwords    Mmacs       MB  share  nodes\n";
  std::vector<std::size_t> stage_of(plan.steps().size()), threads(plan.steps().size());
  for (std::size_t stage = 0; stage < plan.stages().size(); ++stage) {
    for (const std::size_t step : plan.stages()[stage].steps) stage_of[step] = stage;
    for (const std::vector<Piece>& list : plan.stages()[stage].pieces)
      for (const Piece& piece : list) ++threads[piece.step];
  }
  for (std::size_t s = 0; s < plan.steps().size(); ++s) {
    const PlannedStep& step = plan.steps()[s];
    const Cost cost = step.cost();
    text << std::setw(5) << s << std::setw(6) << stage_of[s] << std::setw(6) << step.rows << std::setw(6) << step.band
         << std::setw(8) << threads[s] << std::setw(9) << cost.words / 1e6 << std::setw(9) << cost.macs / 1e6 << std::setw(9)
         << cost.bytes / 1e6 << std::setw(6) << 100.0 * cost.bound(rates) / bound << "%";
    const char* separator = "  ";
    for (const NodeId id : step.nodes) {
      const Node& node = program.graph().nodes()[id];
      const bool in_band = plan.values()[id].place == Place::band;
      text << separator << (in_band ? "[" : "") << op_name(node.op) << ' ' << node.name << (in_band ? "]" : "");
      separator = ", ";
    }
    text << '\n';
  }
  return text.str();
}

}  // namespace bimtdp
