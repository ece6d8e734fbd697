// SPDX-License-Identifier: Apache-2.0
// Plans: aligned, without overlap of living values, smaller than the sum of all values, and refused above the limits.
#include <bimtdp/graph/plan.hpp>

#include "catch.hpp"
#include "errors.hpp"
#include "graphs.hpp"

#include <algorithm>
#include <utility>
#include <vector>

using namespace bimtdp;
using test::error_of;
using test::holds;

namespace {

std::vector<NodeId> last_uses(const Graph& graph) {
  std::vector<NodeId> last(graph.nodes().size());
  for (NodeId id = 0; id < last.size(); ++id) {
    last[id] = id;
    for (const NodeId input : graph.nodes()[id].inputs) last[input] = id;
  }
  for (const Output& output : graph.outputs()) last[output.node] = last.size();
  return last;
}

/// Values that live at the same time must not share bytes; a result may lie exactly on its dying first input.
void check_plan(const Graph& graph, const Plan& plan) {
  const std::vector<NodeId> last = last_uses(graph);
  for (NodeId b = 0; b < last.size(); ++b) {
    const PlannedValue& vb = plan.values()[b];
    CHECK(vb.offset % 64 == 0);
    CHECK(vb.offset + vb.bytes <= plan.scratch_offset());
    for (NodeId a = 0; a < b; ++a) {
      if (last[a] < b) continue;
      const PlannedValue& va = plan.values()[a];
      const bool apart = va.offset + va.bytes <= vb.offset || vb.offset + vb.bytes <= va.offset;
      const bool overwritten = va.offset == vb.offset && va.bytes == vb.bytes && last[a] == b && graph.nodes()[b].inputs[0] == a;
      INFO(describe(a, graph.nodes()[a]) << " and " << describe(b, graph.nodes()[b]));
      CHECK((apart || overwritten));
    }
  }
}

}  // namespace

TEST_CASE("living values never share bytes") {
  for (const Graph& graph : {test::small_network(), test::every_operation()}) {
    const Program program(graph, kernels::reference_table());
    for (const auto& [height, width] : {std::pair<std::size_t, std::size_t>{8, 8}, {32, 64}, {100, 36}}) {
      const Plan plan(program, height, width);
      check_plan(graph, plan);
      std::size_t sum = 0;
      for (const PlannedValue& value : plan.values()) sum += value.bytes;
      CHECK(plan.scratch_offset() < sum);
      CHECK(plan.arena_bytes() == plan.scratch_offset() + plan.scratch_bytes());
    }
  }
}

TEST_CASE("a chain needs two buffers, or one where the op overwrites") {
  const auto arena = [](auto&& op) {
    GraphBuilder g;
    NodeId last = g.input(16);
    for (int i = 0; i < 10; ++i) last = g.add("n", op, {last});
    g.output({.task = "a", .node = last});
    const Program program(g.build(), kernels::reference_table());
    const Plan plan(program, 8, 8);
    return plan.scratch_offset();
  };
  constexpr std::size_t map = 8 * 8 * 16 * 4;
  CHECK(arena(L2NormalizeNode{}) == map);
  CHECK(arena(MaxPool2dNode{square_window(3)}) == 2 * map);
}

TEST_CASE("kept values all have their own place") {
  const Graph graph = test::every_operation();
  const Program program(graph, kernels::reference_table());
  const Plan plan(program, 16, 16, {.keep_all = true});
  std::vector<std::pair<std::size_t, std::size_t>> ranges;
  for (const PlannedValue& value : plan.values()) ranges.emplace_back(value.offset, value.offset + value.bytes);
  std::sort(ranges.begin(), ranges.end());
  for (std::size_t i = 1; i < ranges.size(); ++i) CHECK(ranges[i - 1].second <= ranges[i].first);
}

TEST_CASE("limits") {
  const Program program(test::small_network(), kernels::reference_table());
  const Plan plan(program, 64, 64);
  CHECK(plan.macs() > 32 * 32 * 18 * 27);
  CHECK_NOTHROW(Plan(program, 64, 64, {.limits = {.max_bytes = plan.arena_bytes(), .max_macs = plan.macs()}}));
  CHECK(holds(error_of([&] { Plan(program, 64, 64, {.limits = {.max_bytes = plan.arena_bytes() - 1}}); }), {"too much memory"}));
  CHECK(holds(error_of([&] { Plan(program, 64, 64, {.limits = {.max_macs = plan.macs() - 1}}); }), {"too much work"}));
  CHECK(holds(error_of([&] { Plan(program, 1 << 20, 2048); }), {"too"}));
  CHECK(holds(error_of([&] { Plan(program, 64, 64, {.threads = 0}); }), {"threads", "got 0"}));
}
