// SPDX-License-Identifier: Apache-2.0
// Plans: steps and stages keep the order of dependence and cover every row once; values that live at the same time have bytes
// of their own, in the arena and in the bands; costs above the limits are refused.
#include <bimtdp/plan/plan.hpp>

#include "catch.hpp"
#include "errors.hpp"
#include "graphs.hpp"
#include "random_network.hpp"

#include <algorithm>
#include <utility>
#include <vector>

using namespace bimtdp;
using test::error_of;
using test::holds;

namespace {

struct Turn {
  std::size_t stage = 0, step = 0, position = 0;
};

/// When each node runs; fails unless every node but the input runs in exactly one step and stage.
std::vector<Turn> times(const Plan& plan) {
  std::vector<std::size_t> stage_of(plan.steps().size(), plan.stages().size());
  for (std::size_t stage = 0; stage < plan.stages().size(); ++stage)
    for (const std::size_t step : plan.stages()[stage].steps) {
      CHECK(stage_of[step] == plan.stages().size());
      stage_of[step] = stage;
    }
  std::vector<Turn> result(plan.values().size());
  std::size_t nodes = 0;
  for (std::size_t step = 0; step < plan.steps().size(); ++step)
    for (std::size_t i = 0; i < plan.steps()[step].nodes.size(); ++i, ++nodes)
      result[plan.steps()[step].nodes[i]] = {stage_of[step], step, i};
  CHECK(nodes == plan.values().size() - 1);
  return result;
}

void check_order(const Graph& graph, const Plan& plan) {
  const std::vector<Turn> time = times(plan);
  for (NodeId id = 1; id < time.size(); ++id) {
    CHECK(plan.values()[id].shape.height % plan.steps()[time[id].step].rows == 0);
    for (std::size_t i = 0; i < graph.nodes()[id].inputs.size(); ++i) {
      const NodeId input = graph.nodes()[id].inputs[i];
      const RowUse use = plan.flow().uses[id][i];
      if (input == 0 || use == RowUse::none) continue;
      INFO(label(input, graph.nodes()[input]) << " before " << label(id, graph.nodes()[id]));
      if (time[input].step != time[id].step) {
        CHECK(time[input].stage < time[id].stage);
        CHECK(!plan.values()[input].at<InBand>());
        CHECK(!plan.values()[input].at<InsideConcat>());
      } else {
        CHECK(use == RowUse::same);
        CHECK(time[input].position < time[id].position);
      }
    }
  }
}

/// Every row of every step belongs to one piece of its stage; what cannot be split is not.
void check_pieces(const Plan& plan) {
  for (const Stage& stage : plan.stages()) {
    CHECK(stage.pieces.size() <= plan.threads());
    for (const std::size_t step : stage.steps) {
      std::vector<int> runs(plan.steps()[step].rows, 0);
      for (const std::vector<Piece>& list : stage.pieces)
        for (const Piece& piece : list) {
          if (piece.step != step) continue;
          CHECK((plan.steps()[step].by_rows || (piece.begin == 0 && piece.end == runs.size())));
          for (std::size_t row = piece.begin; row < piece.end; ++row) ++runs.at(row);
        }
      CHECK(std::count(runs.begin(), runs.end(), 1) == static_cast<std::ptrdiff_t>(runs.size()));
    }
  }
}

/// A value and the time, in stages or in positions within a step, from which and until which it lives.
struct Living {
  NodeId id;
  std::size_t first, last;
};

/// In the arena, or in the memory of a band.
std::size_t offset_of(const PlannedValue& value) {
  const auto* band = value.at<InBand>();
  return band ? band->offset : std::get<InArena>(value.place).offset;
}

void check_apart(const Graph& graph, const Plan& plan, const std::vector<Living>& living, bool may_overwrite) {
  for (const Living& b : living)
    for (const Living& a : living) {
      if (a.id >= b.id || a.last < b.first || b.last < a.first) continue;
      const std::size_t at_a = offset_of(plan.values()[a.id]), at_b = offset_of(plan.values()[b.id]);
      const std::size_t bytes_a = plan.values()[a.id].bytes, bytes_b = plan.values()[b.id].bytes;
      const bool apart = at_a + bytes_a <= at_b || at_b + bytes_b <= at_a;
      const bool overwritten = may_overwrite && at_a == at_b && bytes_a == bytes_b && a.last == b.first &&
                               std::ranges::count(graph.nodes()[b.id].inputs, a.id) == 1;
      INFO(label(a.id, graph.nodes()[a.id]) << " and " << label(b.id, graph.nodes()[b.id]));
      CHECK((apart || overwritten));
    }
}

void check_memory(const Graph& graph, const Plan& plan) {
  const std::vector<Turn> time = times(plan);
  std::vector<Living> arena;
  std::vector<std::vector<Living>> bands(plan.steps().size());
  for (NodeId id = 0; id < time.size(); ++id) {
    const PlannedValue& value = plan.values()[id];
    if (const auto* inside = value.at<InsideConcat>()) {  // its bytes are those of the concat, from now on
      CHECK(time[inside->concat].step == time[id].step);
      CHECK(time[inside->concat].position > time[id].position);
      const PlannedValue& whole = plan.values()[inside->concat];
      CHECK(inside->channel + value.shape.channels <= whole.shape.channels);
      if (whole.at<InBand>()) bands[time[id].step].push_back({inside->concat, time[id].position, time[inside->concat].position});
      continue;
    }
    CHECK(offset_of(value) % 64 == 0);
    Living in_stages{id, time[id].stage, time[id].stage}, in_step{id, time[id].position, time[id].position};
    for (NodeId reader = id + 1; reader < time.size(); ++reader)
      for (std::size_t i = 0; i < graph.nodes()[reader].inputs.size(); ++i) {
        if (graph.nodes()[reader].inputs[i] != id || plan.flow().uses[reader][i] == RowUse::none) continue;
        in_stages.last = std::max(in_stages.last, time[reader].stage);
        in_step.last = std::max(in_step.last, time[reader].position);
      }
    for (const Output& output : graph.outputs())
      if (output.node == id) in_stages.last = plan.stages().size();
    const bool in_band = value.at<InBand>() != nullptr;
    CHECK(offset_of(value) + value.bytes <= (in_band ? plan.band_bytes() : plan.scratch_offset()));
    (in_band ? bands[time[id].step] : arena).push_back(in_band ? in_step : in_stages);
  }
  check_apart(graph, plan, arena, true);
  for (const std::vector<Living>& band : bands) check_apart(graph, plan, band, false);
}

}  // namespace

TEST_CASE("order, rows and memory of a plan") {
  for (const Graph& graph : {test::small_network(), test::every_operation()}) {
    const Program program(graph, kernels::reference_table());
    for (const std::size_t threads : {1u, 2u, 5u})
      for (const auto& [height, width] : {std::pair<std::size_t, std::size_t>{8, 8}, {32, 64}, {100, 36}, {256, 320}}) {
        const Plan plan(program, height, width, {.threads = threads});
        check_order(graph, plan);
        check_pieces(plan);
        check_memory(graph, plan);
        CHECK(plan.arena_bytes() == plan.scratch_offset() + plan.scratch_bytes());
        CHECK(plan.steps().size() < graph.nodes().size() - 1);
      }
  }
}

TEST_CASE("much work is split, little is not") {
  GraphBuilder g;
  NodeId last = g.input(64);
  last = g.add("pool", MaxPool2dNode{square_window(3)}, {last});
  g.output({.task = "a", .node = last});
  const Program program(g.build(), kernels::reference_table());
  CHECK(Plan(program, 4, 4, {.threads = 4}).stages().at(0).pieces.size() == 1);
  const Plan large(program, 480, 640, {.threads = 4});
  REQUIRE(large.stages().at(0).pieces.size() == 4);
  for (const std::vector<Piece>& list : large.stages()[0].pieces) {
    REQUIRE(list.size() == 1);
    CHECK(list[0].end - list[0].begin == 120);
  }
}

TEST_CASE("a chain of pixel by pixel operations is one step; windows begin a new one") {
  const auto plan = [](auto&& op) {
    GraphBuilder g;
    NodeId last = g.input(16);
    for (int i = 0; i < 10; ++i) last = g.add("n", op, {last});
    g.output({.task = "a", .node = last});
    const Program program(g.build(), kernels::reference_table());
    return Plan(program, 8, 8);
  };
  constexpr std::size_t map = 8 * 8 * 16 * 4;
  CHECK(plan(L2NormalizeNode{}).steps().size() == 1);
  CHECK(plan(L2NormalizeNode{}).scratch_offset() == 2 * map);  // the input and the output
  CHECK(plan(MaxPool2dNode{square_window(3)}).steps().size() == 10);
  CHECK(plan(MaxPool2dNode{square_window(3)}).scratch_offset() == 2 * map);
}

TEST_CASE("an operation overwrites its dying input") {
  GraphBuilder g;
  const NodeId pooled = g.add("pool", MaxPool2dNode{square_window(3)}, {g.input(16)});
  const NodeId halved = g.add("half", MaxPool2dNode{square_window(3, 2)}, {pooled});
  const NodeId doubled = g.add("double", ResizeNode{.factor = 2}, {halved});
  g.output({.task = "a", .node = g.add("sum", AddNode{}, {pooled, doubled})});
  const Program program(g.build(), kernels::reference_table());
  const Plan plan(program, 8, 8);
  CHECK(offset_of(plan.values()[4]) == offset_of(plan.values()[1]));  // 1 is read for the last time, row by row, where 4 is made
  CHECK(plan.values()[3].at<InBand>());
}

TEST_CASE("a map made just before it is read never exists as a whole") {
  GraphBuilder g;
  const NodeId in = g.input(16);
  const NodeId narrow = g.add("narrow", MaxPool2dNode{square_window(3)}, {in});
  const NodeId wide = g.add("wide", ConcatNode{}, {narrow, narrow, narrow});
  const NodeId other = g.add("other", MaxPool2dNode{square_window(3)}, {narrow});
  const NodeId deep = g.add("deep", MaxPool2dNode{square_window(3)}, {other});
  const NodeId tripled = g.add("tripled", ConcatNode{}, {deep, deep, deep});
  g.output({.task = "a", .node = g.add("sum", AddNode{}, {wide, tripled})});
  const Program program(g.build(), kernels::reference_table());
  const Plan plan(program, 8, 8);
  CHECK(plan.values()[wide].at<InBand>());  // moved behind `deep`, though `narrow` alone decides its step
  CHECK(plan.values()[narrow].at<InArena>());
}

TEST_CASE("a resized map is written where the concat wants it") {
  GraphBuilder g;
  const NodeId in = g.input(16);
  const NodeId half = g.add("half", MaxPool2dNode{square_window(3, 2)}, {in});
  const NodeId large = g.add("large", ResizeNode{.factor = 2}, {half});
  const NodeId read_twice = g.add("read_twice", ResizeNode{.factor = 2}, {half});
  const NodeId joined = g.add("joined", ConcatNode{}, {in, large, read_twice});
  g.output({.task = "a", .node = g.add("sum", ConcatNode{}, {joined, read_twice})});
  const Program program(g.build(), kernels::reference_table());
  const Plan plan(program, 8, 8);
  REQUIRE(plan.values()[large].at<InsideConcat>());
  CHECK(plan.values()[large].at<InsideConcat>()->concat == joined);
  CHECK(plan.values()[large].at<InsideConcat>()->channel == 16);
  CHECK(plan.values()[read_twice].at<InBand>());
  check_memory(program.graph(), plan);
}

TEST_CASE("pools whose windows lie side by side run with what they read") {
  GraphBuilder g;
  const NodeId in = g.input(16);
  const NodeId large = g.add("large", MaxPool2dNode{square_window(3)}, {in});
  const NodeId half = g.add("half", AvgPool2dNode{}, {large});
  const NodeId quarter = g.add("quarter", MaxPool2dNode{{.kernel = {2, 2}, .stride = {2, 2}}}, {half});
  const NodeId overlapping = g.add("overlapping", MaxPool2dNode{square_window(3, 2)}, {quarter});
  g.output({.task = "a", .node = overlapping});
  const Program program(g.build(), kernels::reference_table());
  const Plan plan(program, 16, 16);
  REQUIRE(plan.steps().size() == 2);
  CHECK(plan.steps()[0].nodes == std::vector<NodeId>{large, half, quarter});
  CHECK(plan.steps()[0].rows == 4);
  CHECK(plan.values()[large].at<InBand>());
  CHECK(plan.values()[half].at<InBand>());
  CHECK(Plan(program, 36, 36).steps()[0].rows == 9);
  check_order(program.graph(), plan);
}

TEST_CASE("outputs in the caller's memory") {
  const Program program(test::small_network(), kernels::reference_table());
  const Plan plan(program, 16, 16, {.outputs_apart = true});
  AlignedVector<std::byte> arena(plan.arena_bytes());
  const NodeId output = program.graph().outputs()[0].node;
  CHECK(plan.values()[output].at<AtCaller>());
  CHECK(holds(error_of([&] { (void)plan.value(output, arena); }), {"no memory for output"}));
}

TEST_CASE("kept values all have their own place") {
  const Graph graph = test::every_operation();
  const Program program(graph, kernels::reference_table());
  const Plan plan(program, 16, 16, {.keep_all = true});
  std::vector<std::pair<std::size_t, std::size_t>> ranges;
  for (const PlannedValue& value : plan.values()) ranges.emplace_back(offset_of(value), offset_of(value) + value.bytes);
  std::sort(ranges.begin(), ranges.end());
  for (std::size_t i = 1; i < ranges.size(); ++i) CHECK(ranges[i - 1].second <= ranges[i].first);
}

TEST_CASE("limits") {
  const Program program(test::small_network(), kernels::reference_table());
  const Plan plan(program, 64, 64);
  CHECK(plan.macs() > 32 * 32 * 18 * 27);
  std::size_t maps = 0;
  for (const Output& output : program.graph().outputs()) maps += 4 * plan.values()[output.node].shape.elements();
  CHECK(plan.bytes() == plan.arena_bytes() + maps);
  CHECK_NOTHROW(Plan(program, 64, 64, {.limits = {.max_bytes = plan.bytes(), .max_macs = plan.macs()}}));
  CHECK(holds(error_of([&] { Plan(program, 64, 64, {.limits = {.max_bytes = plan.bytes() - 1}}); }), {"too much memory"}));
  CHECK(holds(error_of([&] { Plan(program, 64, 64, {.limits = {.max_macs = plan.macs() - 1}}); }), {"too much work"}));
  CHECK(holds(error_of([&] { Plan(program, 1 << 20, 2048); }), {"too"}));
  CHECK(holds(error_of([&] { Plan(program, 64, 64, {.threads = 0}); }), {"threads", "got 0"}));
}

TEST_CASE("plans of random networks") {
  for (std::uint8_t seed = 0; seed < 200; ++seed) {
    INFO("seed " << static_cast<int>(seed));
    test::Choices choices(std::span(&seed, 1));
    const test::RandomNetwork network = test::random_network(choices);
    const Program program(network.graph, kernels::reference_table());
    const Shape& in = network.input.shape();
    for (const std::size_t threads : {1u, 3u})
      for (const bool keep_all : {false, true}) {
        const Plan plan(program, in.height, in.width, {.threads = threads, .keep_all = keep_all});
        check_order(network.graph, plan);
        check_pieces(plan);
        check_memory(network.graph, plan);
      }
  }
}
