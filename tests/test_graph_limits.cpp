// SPDX-License-Identifier: Apache-2.0
// Both sides of every limit that a graph has.
#include "bench.hpp"
#include "catch.hpp"

#include <functional>
#include <string>
#include <utility>
#include <vector>

using namespace bimtdp;
using namespace test;

TEST_CASE("numbers of nodes, outputs, channels and names at their borders") {
  const auto output = [](GraphBuilder& g, NodeId x) { g.output({.task = "a", .node = x}); };
  CHECK(graph_error(output, 1, max_extent).empty());
  CHECK(holds(graph_error(output, 1, beyond), {"stride (got 1048577"}));

  const auto chain = [&](std::size_t nodes) {
    return graph_error([&](GraphBuilder& g, NodeId x) {
      for (std::size_t i = 1; i < nodes; ++i) x = g.add("n", L2NormalizeNode{}, {x});
      output(g, x);
    });
  };
  CHECK(chain(max_nodes).empty());
  CHECK(holds(chain(max_nodes + 1), {"number of nodes (got 16385"}));

  const auto outputs = [](std::size_t count) {
    return graph_error([&](GraphBuilder& g, NodeId x) {
      for (std::size_t i = 0; i < count; ++i) g.output({.task = "a" + std::to_string(i), .node = x});
    });
  };
  CHECK(outputs(max_outputs).empty());
  CHECK(holds(outputs(max_outputs + 1), {"number of outputs (got 65"}));

  const auto joined = [&](std::size_t channels) {
    return graph_error(
        [&](GraphBuilder& g, NodeId x) {
          const NodeId part = g.add("part", SliceNode{0, channels - max_extent / 2}, {x});
          output(g, g.add("all", ConcatNode{}, {x, part}));
        },
        max_extent / 2);
  };
  CHECK(joined(max_extent).empty());
  const auto too_many = [&](GraphBuilder& g, NodeId x) {
    output(g, g.add("all", ConcatNode{}, {x, g.add("s", SliceNode{0, 1}, {x})}));
  };
  CHECK(holds(graph_error(too_many, max_extent), {"channels (got 1048577"}));

  const auto classes = [](std::size_t count) {
    return graph_error(
        [&](GraphBuilder& g, NodeId x) {
          g.output({.task = "a", .node = x, .kind = OutputKind::classes, .class_names = std::vector<std::string>(count, "c")});
        },
        count);
  };
  CHECK(classes(max_class_names).empty());
  CHECK(holds(classes(max_class_names + 1), {"class_names (got 65537"}));
}

TEST_CASE("names of classes, kinds of outputs and tasks") {
  const auto with = [](OutputKind kind, std::size_t channels, std::vector<std::string> names = {}, bool bits = false) {
    return graph_error(
        [&](GraphBuilder& g, NodeId x) {
          if (bits) x = g.add("bits", BinarizeNode{}, {x});
          g.output({.task = "a", .node = x, .kind = kind, .class_names = std::move(names)});
        },
        channels);
  };
  for (const auto& [kind, channels] : {std::pair{OutputKind::depth, 1u}, {OutputKind::edges, 1u}, {OutputKind::normals, 3u}}) {
    CHECK(with(kind, channels).empty());
    CHECK(holds(with(kind, channels + 1), {"channels (got"}));
    CHECK(holds(with(kind, channels, {}, true), {"type (got bits"}));
    CHECK(holds(with(kind, channels, {"c"}), {"class_names (got 1"}));
  }
  CHECK(with(OutputKind::classes, 1, {std::string(128, 'c')}).empty());
  for (const std::string& name : {std::string(), std::string(129, 'c'), std::string("\n")})
    CHECK(holds(with(OutputKind::classes, 1, {name}), {"class_names (got '"}));
  CHECK(holds(graph_error([](GraphBuilder& g, NodeId x) { g.output({.task = "a", .node = x + 1}); }),
              {"node (got 1, expected below 1"}));
  CHECK(holds(graph_error([](GraphBuilder& g, NodeId) { g.output({.task = "a", .node = g.add("n", L2NormalizeNode{}, {1})}); }),
              {"inputs (got node 1"}));
}

TEST_CASE("tied weights up to the last use that is allowed") {
  const auto uses = [](std::size_t channels, std::size_t count) {  // packed values: channels * count, allowed 16 * channels + 2^20
    return graph_error(
        [&](GraphBuilder& g, NodeId x) {
          const WeightName shared = g.floats({channels}, ones(channels));
          for (; count > 1; count -= 2) x = g.add("n", AffineNode{.scale = shared, .bias = shared}, {x});
          if (count == 1) x = g.add("s", BinarizeNode{.shift = shared}, {x});
          g.output({.task = "a", .node = x});
        },
        channels);
  };
  CHECK(uses(1 << 16, 32).empty());  // exactly as many as allowed
  CHECK(uses(61681, 32).empty());
  CHECK(holds(uses(61681, 33), {"got 2035473 values", "at most 2035472"}));
}

TEST_CASE("idle lanes of every weight count") {
  // So many uses of one weight are allowed where they leave no lane idle; these, packed, take 2 or 16 times the memory.
  const auto tied = [](std::size_t channels, std::size_t uses, auto add) {
    return graph_error(
        [&](GraphBuilder& g, NodeId x) {
          const auto node = add(g);
          NodeId last = x;
          for (std::size_t i = 0; i < uses; ++i) last = node(x);
          g.output({.task = "a", .node = last});
        },
        channels);
  };
  constexpr std::size_t wide = 1 << 16;
  const auto matrix = [](GraphBuilder& g, std::size_t out, std::size_t in) { return g.floats({out, in}, ones(out * in)); };
  const auto adding = [](GraphBuilder& g, NodeOp op) { return [&g, op](NodeId x) { return g.add("n", op, {x}); }; };
  const auto conv = [&](GraphBuilder& g) { return adding(g, Conv2dNode{.weight = g.floats({1, 1, 1, wide}, ones(wide))}); };
  const auto linear = [&](GraphBuilder& g) { return adding(g, LinearNode{.weight = matrix(g, 1, wide)}); };
  const auto excite = [&](std::size_t channels, std::size_t hidden) {
    return [&, channels, hidden](GraphBuilder& g) {
      const auto bias = [&](std::size_t count) { return g.floats({count}, ones(count)); };
      const WeightName reduce = matrix(g, hidden, channels), expand = matrix(g, channels, hidden);
      return adding(g, SqueezeExciteNode{reduce, bias(hidden), expand, bias(channels)});
    };
  };
  const auto binary = [](GraphBuilder& g) {
    const WeightName weight = g.signs({1, 1, 1, 1 << 20}, ones(1 << 20));
    const NodeId bits = g.add("bits", BinarizeNode{}, {0});
    return [&g, weight, bits](NodeId) { return g.add("n", BinaryConv2dNode{.weight = weight}, {bits}); };
  };
  const auto attention = [](GraphBuilder& g) {
    constexpr std::size_t channels = 1041;
    const AttentionConvSpec spec{.weight = g.signs({channels, 1, 1, channels}, ones(channels * channels))};
    const NodeId bits = g.add("bits", BinarizeNode{}, {0});
    return [&g, spec, bits](NodeId) {
      const BinaryAttentionNode node{
          .targets = {0}, .kernel = {1, 1}, .padding = {}, .gates = {spec}, .messages = std::vector<AttentionConvSpec>(16, spec)};
      return g.add("n", node, std::vector<NodeId>(16, bits));
    };
  };
  const std::string refused = "shared by too many nodes or cut into too narrow groups";
  for (const std::string& error : {tied(wide, 32, conv), tied(wide, 32, linear), tied(wide, 16, excite(wide, 1)),
                                   tied(1, 16, excite(1, wide)), tied(1 << 20, 32, binary), tied(1041, 3, attention)})
    CHECK(holds(error, {refused}));
  const auto full = [&](GraphBuilder& g) { return adding(g, Conv2dNode{.weight = g.floats({256, 1, 1, 256}, ones(wide))}); };
  CHECK(tied(256, 32, full).empty());
  CHECK(holds(tied(256, 33, full), {refused}));
}

TEST_CASE("sizes of inputs and values at their borders") {
  const auto flow = [](std::size_t height, std::size_t width, std::size_t channels = 1, NodeOp op = L2NormalizeNode{},
                       std::size_t stride = 1) {
    return error_of([&] {
      GraphBuilder g;
      g.output({.task = "a", .node = g.add("n", op, {g.input(channels)})});
      (void)make_dataflow(g.build(stride), height, width);
    });
  };
  CHECK(flow(max_extent, 1).empty());
  CHECK(flow(1, max_extent).empty());
  for (const auto& [height, width] : {std::pair<std::size_t, std::size_t>{beyond, 1}, {1, beyond}, {0, 1}, {1, 0}})
    CHECK(holds(flow(height, width), {"input: size (got"}));
  CHECK(flow(4, 6, 1, L2NormalizeNode{}, 2).empty());
  CHECK(holds(flow(4, 5, 1, L2NormalizeNode{}, 2), {"multiples of the stride"}));
  CHECK(holds(flow(5, 4, 1, L2NormalizeNode{}, 2), {"multiples of the stride"}));
  CHECK(flow(max_extent / 2, 1, 1, ResizeNode{.factor = 2}).empty());
  CHECK(flow(1, max_extent / 2, 1, ResizeNode{.factor = 2}).empty());
  CHECK(holds(flow(max_extent, 1, 1, MaxPool2dNode{{.kernel = {2, 1}, .padding = {1, 1, 0, 0}}}), {"1048577x1x1"}));
  CHECK(holds(flow(1, max_extent, 1, MaxPool2dNode{{.kernel = {1, 2}, .padding = {0, 0, 1, 1}}}), {"1x1048577x1"}));
  const auto padded = [](std::size_t height, std::size_t width, const Padding& padding) {
    return error_of([&] {
      GraphBuilder g;
      const Conv2dNode conv{.window = {.padding = padding}, .weight = g.floats({1, 1, 1, 1}, ones(1))};
      g.output({.task = "a", .node = g.add("n", conv, {g.input(1)})});
      (void)make_dataflow(g.build(), height, width);
    });
  };
  CHECK(padded(max_extent - 1, 1, {1, 0, 0, 0}).empty());
  CHECK(padded(1, max_extent - 1, {0, 0, 0, 1}).empty());
  CHECK(holds(padded(max_extent, 1, {1, 0, 0, 0}), {"output size (got 1048577x1x1"}));
  CHECK(holds(padded(1, max_extent, {0, 0, 0, 1}), {"output size (got 1x1048577x1"}));
  CHECK(flow(max_extent, 1 << 11).empty());  // 2^31 elements
  CHECK(holds(flow(max_extent, (1 << 11) + 1), {"output too large"}));
}
