// SPDX-License-Identifier: Apache-2.0
// Profiles, traces and descriptions of a plan: every node is in them, with times that add up.
#include <bimtdp/bimtdp.hpp>
#include <bimtdp/io/digest.hpp>

#include <nlohmann/json.hpp>

#include "catch.hpp"
#include "errors.hpp"
#include "graphs.hpp"

#include <algorithm>
#include <set>
#include <sstream>
#include <string>
#include <vector>

using namespace bimtdp;
using Json = nlohmann::json;
using test::holds;

TEST_CASE("a profile has every node once, and times that add up") {
  const Model model(test::every_operation());
  for (const std::size_t threads : {1u, 3u}) {
    Runner runner(model, {.threads = threads});
    const Image photo = test::noise_photo(64, 96);
    const Profile profile = runner.profile(photo, 3);
    std::set<NodeId> nodes;
    std::vector<double> seconds(model.graph().nodes().size(), 0.0);
    for (const ProfileEvent& event : profile.events) {
      CHECK(event.begin >= 0);
      CHECK(event.end >= event.begin);
      CHECK(static_cast<double>(event.end) * 1e-9 <= profile.seconds);
      CHECK(event.thread < threads);
      seconds[event.node] += static_cast<double>(event.end - event.begin) * 1e-9;
    }
    for (const NodeProfile& node : profile.nodes) {
      CHECK(nodes.insert(node.node).second);
      CHECK(node.seconds == Approx(seconds[node.node]));
      CHECK(node.bound > 0.0);
      CHECK(node.description == label(node.node, model.graph().nodes()[node.node]));
    }
    CHECK(nodes.size() == model.graph().nodes().size() - 1);
    CHECK(profile.events.size() == detail::count_events(runner.plan()));
    CHECK(profile.busy() <= static_cast<double>(threads) * profile.seconds);
    CHECK(profile.bound() > 0.0);
  }
}

TEST_CASE("profiling changes no map") {
  const Model model(test::small_network());
  Runner profiled(model, {.threads = 2}), plain(model, {.threads = 2});
  const Image photo = test::noise_photo(32, 48);
  (void)profiled.profile(photo, 2, Rates{});
  for (std::size_t i = 0; const Predictions::Task& task : plain.run(photo)) {
    const ValueRef map = profiled.value(model.outputs()[i++].node);
    CHECK(digest(map.bytes()) == digest(std::as_bytes(task.map.span())));
  }
  CHECK(holds(test::error_of([&] { (void)profiled.profile(photo, 0); }), {"repeats", "got 0"}));
  const Tensor<float> input({32, 48, 3});
  CHECK(profiled.profile(input, 1, Rates{}).nodes.size() == profiled.profile(photo, 1, Rates{}).nodes.size());
}

TEST_CASE("the trace is JSON that viewers read") {
  const Model model(test::small_network());
  Runner runner(model, {.threads = 2});
  const Profile profile = runner.profile(test::noise_photo(32, 32), 1, Rates{});
  std::ostringstream out;
  write_trace(out, profile);
  const Json trace = Json::parse(out.str());
  REQUIRE(trace.at("traceEvents").size() == profile.events.size());
  for (const Json& event : trace.at("traceEvents")) {
    CHECK(event.at("ph") == "X");
    CHECK(event.at("ts").get<double>() >= 0.0);
    CHECK(event.at("dur").get<double>() >= 0.0);
    CHECK(event.at("name").get<std::string>().starts_with("node "));
    CHECK(event.at("args").at("bound_us").get<double>() > 0.0);
  }
}

TEST_CASE("a description names every node and what it costs") {
  const Graph graph = test::every_operation();
  const Program program(graph, kernels::reference_table());
  const Plan plan(program, 64, 96, {.threads = 2});
  const std::string text = describe(program.graph(), plan);
  for (NodeId id = 1; id < graph.nodes().size(); ++id) CHECK(text.find(graph.nodes()[id].name) != std::string::npos);
  CHECK(static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) == plan.steps().size() + 2);
  CHECK(holds(text, {"64x96x3", "2 threads", "Mwords"}));
  Runner runner(Model(graph), {.threads = 2});
  CHECK_THROWS_AS((void)runner.describe(), Error);
  (void)runner.plan_for(64, 96);
  CHECK(holds(runner.describe(), {"64x96x3", "2 threads"}));
}

TEST_CASE("costs count what the arithmetic needs") {
  GraphBuilder g;
  const NodeId in = g.input(32);
  const std::vector<float> weights(3 * 3 * 32 * 8, 0.5f);
  const NodeId conv = g.add("conv", Conv2dNode{.window = square_window(3), .weight = g.floats({8, 3, 3, 32}, weights)}, {in});
  g.output({.task = "a", .node = conv});
  const Graph graph = g.build();
  const Cost cost = make_dataflow(graph, 10, 20).costs[conv];
  CHECK(cost.words == 0.0);
  CHECK(cost.macs == 10.0 * 20 * 8 * 9 * 32);
  CHECK(cost.bytes == 10.0 * 20 * (32 + 8) * 4);
  CHECK(cost.bound({.words = 1.0, .macs = 2.0, .bytes = 1.0}) == cost.macs / 2.0);
}

TEST_CASE("rates are measured") {
  for (const kernels::KernelTable* table : kernels::tables()) {
    const Rates rates = measure_rates(*table);
    CHECK(rates.words > 1e6);
    CHECK(rates.macs > 1e6);
    CHECK(rates.bytes > 1e6);
  }
}
