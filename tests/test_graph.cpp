// SPDX-License-Identifier: Apache-2.0
// Building graphs by hand, and everything a graph refuses: each message names the node and the field.
#include <bimtdp/graph/dataflow.hpp>
#include <bimtdp/graph/graph_builder.hpp>

#include "catch.hpp"
#include "errors.hpp"
#include "graphs.hpp"

#include <string>
#include <utility>
#include <vector>

using namespace bimtdp;
using test::error_of;
using test::holds;

namespace {

/// The message of a graph with one node under test. `make` adds nodes after the input (4 channels) and returns the last.
template <class Make>
std::string build_error(Make&& make, std::size_t stride = 1) {
  return error_of([&] {
    GraphBuilder g;
    const NodeId input = g.input(4);
    g.output({.task = "out", .node = make(g, input)});
    const Graph graph = g.build(stride);
    (void)make_dataflow(graph, 8, 8);
  });
}

std::vector<float> ones(std::size_t count) { return std::vector<float>(count, 1.0f); }

}  // namespace

TEST_CASE("a graph knows types, channels and shapes") {
  const Graph graph = test::small_network();
  REQUIRE(graph.nodes().size() == 7);
  CHECK(graph.values()[2].type == ValueType::bits);
  CHECK(graph.values()[2].channels == 18);
  CHECK(graph.stride() == 2);
  const Dataflow flow = make_dataflow(graph, 32, 48);
  CHECK(flow.shapes[1] == Shape{16, 24, 18});
  CHECK(flow.shapes[5] == Shape{32, 48, 4});
  CHECK(flow.work[1] == 16 * 24 * 18 * 27);
  CHECK(label(3, graph.nodes()[3]) == "node 3 (binary_conv2d body)");
}

TEST_CASE("every operation infers its shape") {
  const Graph graph = test::every_operation();
  const Dataflow flow = make_dataflow(graph, 16, 24);
  const auto shape = [&](std::string_view name) {
    for (NodeId id = 0; id < graph.nodes().size(); ++id)
      if (graph.nodes()[id].name == name) return flow.shapes[id];
    return Shape{};
  };
  CHECK(shape("stem") == Shape{8, 12, 20});
  CHECK(shape("max_pool") == Shape{4, 6, 20});
  CHECK(shape("attention") == Shape{4, 6, 40});
  CHECK(shape("linear") == Shape{1, 1, 20});
  CHECK(shape("bit_concat") == Shape{4, 6, 55});
  CHECK(shape("bit_nearest") == Shape{4, 6, 55});
  CHECK(shape("bilinear_size") == Shape{5, 7, 20});
  CHECK(shape("nearest") == Shape{15, 21, 20});
  CHECK(shape("bilinear") == Shape{16, 24, 3});
}

TEST_CASE("inputs are checked") {
  CHECK(build_error([](GraphBuilder& g, NodeId x) {
          return g.add("a", ActivationNode{{.kind = kernels::ActivationKind::relu}}, {x});
        }).empty());
  CHECK(holds(build_error([](GraphBuilder& g, NodeId) { return g.add("a", UnpackNode{}, {1}); }),
              {"node 1 (unpack a)", "got node 1", "earlier"}));
  CHECK(holds(build_error([](GraphBuilder& g, NodeId x) { return g.add("a", UnpackNode{}, {x}); }),
              {"type of input 0", "got float", "expected bits"}));
  CHECK(holds(build_error([](GraphBuilder& g, NodeId) { return g.add("a", L2NormalizeNode{}, {}); }),
              {"number of inputs", "got 0", "expected 1"}));
  CHECK(holds(build_error([](GraphBuilder& g, NodeId x) { return g.add("a", AddNode{}, std::vector<NodeId>(17, x)); }),
              {"number of inputs", "2 to 16"}));
  CHECK(holds(build_error([](GraphBuilder& g, NodeId x) { return g.add("a", ConcatNode{}, std::vector<NodeId>(65, x)); }),
              {"number of inputs", "1 to 64"}));
  CHECK(holds(build_error([](GraphBuilder& g, NodeId x) {
                const NodeId bits = g.add("b", BinarizeNode{}, {x});
                return g.add("a", ConcatNode{}, {x, bits});
              }),
              {"type of input 1", "got bits"}));
  CHECK(holds(build_error([](GraphBuilder& g, NodeId) { return g.add("a", InputNode{3}, {}); }),
              {"node 1", "op (got input", "which node 0 is"}));
  CHECK(holds(build_error([](GraphBuilder& g, NodeId x) { return g.add("bad name", L2NormalizeNode{}, {x}); }),
              {"node 1", "name", "bad name"}));
  CHECK(holds(build_error([](GraphBuilder& g, NodeId x) {
                const NodeId part = g.add("s", SliceNode{0, 2}, {x});
                return g.add("a", AddNode{}, {x, part});
              }),
              {"channels of input 1", "got 2", "expected 4"}));
  CHECK(holds(build_error([](GraphBuilder& g, NodeId x) {
                const NodeId small = g.add("p", AdaptiveAvgPool2dNode{{2, 2}}, {x});
                return g.add("a", AddNode{}, {x, small});
              }),
              {"size of input 1", "2x2x4", "8x8"}));
}

TEST_CASE("attributes that would divide by zero or overflow are checked") {
  const auto conv = [](auto&& change) {
    return build_error([&](GraphBuilder& g, NodeId x) {
      Conv2dNode node{.window = square_window(3), .weight = g.floats({4, 3, 3, 4}, ones(144))};
      change(node, g);
      return g.add("c", node, {x});
    });
  };
  CHECK(conv([](Conv2dNode&, GraphBuilder&) {}).empty());
  CHECK(holds(conv([](Conv2dNode& n, GraphBuilder&) { n.window.stride[0] = 0; }), {"node 1 (conv2d c)", "stride", "got 0"}));
  CHECK(holds(conv([](Conv2dNode& n, GraphBuilder&) { n.window.dilation[1] = 0; }), {"dilation", "got 0"}));
  CHECK(holds(conv([](Conv2dNode& n, GraphBuilder&) { n.window.kernel[1] = 0; }), {"kernel", "got 0"}));
  CHECK(holds(conv([](Conv2dNode& n, GraphBuilder&) { n.window.padding.left = ~std::size_t{0}; }),
              {"padding", "18446744073709551615"}));
  CHECK(holds(conv([](Conv2dNode& n, GraphBuilder&) { n.groups = 0; }), {"groups", "got 0"}));
  CHECK(holds(conv([](Conv2dNode& n, GraphBuilder&) { n.groups = 3; }), {"groups", "divisor"}));
  CHECK(holds(conv([](Conv2dNode& n, GraphBuilder&) { n.window.dilation = {100, 100}; }), {"node 1", "does not fit"}));
  CHECK(holds(conv([](Conv2dNode& n, GraphBuilder&) { n.window.kernel = {1 << 20, 1 << 20}; }), {"kernel too large"}));
  CHECK(holds(conv([](Conv2dNode& n, GraphBuilder&) { n.window.padding.top = 1 << 20; }), {"node 1", "output size"}));
  CHECK(holds(conv([](Conv2dNode& n, GraphBuilder& g) { n.scale = g.floats({1, 1, 1, 1}); }), {"scale needs bias"}));
  CHECK(holds(conv([](Conv2dNode& n, GraphBuilder& g) { n.bias = g.floats({1, 1, 1}); }), {"bias", "got [3]", "expected [4]"}));
  CHECK(holds(conv([](Conv2dNode& n, GraphBuilder&) { n.activation.kind = kernels::ActivationKind::prelu; }), {"slope"}));
  CHECK(holds(conv([](Conv2dNode& n, GraphBuilder& g) { n.activation.slope = g.floats({1, 1, 1, 1}); }), {"slope"}));
  CHECK(holds(conv([](Conv2dNode& n, GraphBuilder&) { n.weight = "absent"; }), {"no weight 'absent'"}));
  CHECK(holds(conv([](Conv2dNode&, GraphBuilder& g) { g.floats({1, 2}); }), {"no node uses", "weight.1"}));

  const auto one = [](NodeOp op) { return build_error([&](GraphBuilder& g, NodeId x) { return g.add("n", op, {x}); }); };
  CHECK(holds(one(SoftmaxNode{0}), {"group", "got 0"}));
  CHECK(holds(one(SoftmaxNode{3}), {"group", "divisor of 4"}));
  CHECK(holds(one(SliceNode{2, 2}), {"channels", "got 2 to 2"}));
  CHECK(holds(one(SliceNode{0, 5}), {"channels"}));
  CHECK(holds(one(AdaptiveAvgPool2dNode{{0, 1}}), {"size", "got 0"}));
  CHECK(holds(one(ResizeNode{}), {"exactly one of", "got 0"}));
  CHECK(holds(one(ResizeNode{.factor = 2, .size = {3, 3}}), {"exactly one of", "got 2"}));
  CHECK(holds(one(ResizeNode{.size = {3, 0}}), {"size", "got 0"}));
  CHECK(holds(one(ResizeNode{.factor = 1 << 20}), {"output size"}));
  CHECK(holds(one(ResizeNode{.factor = 1 << 16}), {"output too large"}));
  CHECK(holds(one(AvgPool2dNode{.padding = {2, 0, 0, 0}}), {"padding", "got 2"}));
  CHECK(holds(one(MaxPool2dNode{{.kernel = {2, 2}, .padding = {0, 0, 3, 0}}}), {"window 0 lies in the padding"}));
  CHECK(holds(one(MaxPool2dNode{{.kernel = {2, 2}, .dilation = {9, 9}, .padding = {5, 5, 5, 5}}}), {"lies in the padding"}));
  CHECK(holds(one(ActivationNode{}), {"activation (got none, expected one)"}));
  CHECK(holds(one(LinearNode{.weight = "w"}), {"no weight 'w'"}));
}

TEST_CASE("binary nodes are checked") {
  const auto binary = [](auto&& change) {
    return build_error([&](GraphBuilder& g, NodeId x) {
      const NodeId bits = g.add("s", BinarizeNode{}, {x});
      BinaryConv2dNode node{.window = square_window(3), .weight = g.signs({2, 3, 3, 4}, ones(72))};
      std::vector<NodeId> inputs{bits};
      change(node, inputs, g);
      return g.add("b", node, inputs);
    });
  };
  using N = BinaryConv2dNode;
  using I = std::vector<NodeId>;
  CHECK(binary([](N&, I&, GraphBuilder&) {}).empty());
  CHECK(holds(binary([](N& n, I&, GraphBuilder& g) {
                n.output = BinaryOutput::integer, n.bias = g.floats({1, 1});
              }),
              {"belong to the other outputs"}));
  CHECK(holds(
      binary([](N& n, I&, GraphBuilder&) { n.output = BinaryOutput::bits, n.activation.kind = kernels::ActivationKind::relu; }),
      {"activation belongs to the float output"}));
  CHECK(holds(binary([](N& n, I& i, GraphBuilder&) { n.output = BinaryOutput::bits, i.push_back(0); }), {"number of inputs"}));
  CHECK(holds(binary([](N&, I& i, GraphBuilder&) { i.push_back(0); }), {"channels of input 1", "got 4", "expected 2"}));
  CHECK(holds(binary([](N& n, I&, GraphBuilder& g) { n.weight = g.floats({2, 3, 3, 1}, ones(18)); }), {"dtype", "expected U64"}));

  const auto attention = [](auto&& change) {
    return build_error([&](GraphBuilder& g, NodeId x) {
      const NodeId bits = g.add("s", BinarizeNode{}, {x});
      const auto conv = [&] { return AttentionConvSpec{.weight = g.signs({4, 3, 3, 4}, ones(144))}; };
      BinaryAttentionNode node{.targets = {0}, .gates = {conv()}, .messages = {conv(), conv()}};
      change(node);
      return g.add("a", node, {bits, bits});
    });
  };
  using A = BinaryAttentionNode;
  CHECK(attention([](A&) {}).empty());
  CHECK(holds(attention([](A& a) { a.targets = {2}; }), {"targets", "got source 2"}));
  CHECK(holds(attention([](A& a) { a.targets = {}; }), {"targets", "got 0"}));
  CHECK(holds(attention([](A& a) { a.targets = {0, 1, 0}; }), {"targets", "got 3", "at most 2 sources"}));
  CHECK(holds(attention([](A& a) { a.gate_source = GateSource::source; }), {"number of gates", "got 1", "expected 2"}));
  CHECK(
      holds(attention([](A& a) { a.message_weights = MessageWeights::pairwise; }), {"number of messages", "got 2", "expected 1"}));
  CHECK(holds(attention([](A& a) { a.padding = {0, 0, 0, 0}; }), {"padding must keep the size"}));
  CHECK(holds(attention([](A& a) { a.identity = Identity::real; }), {"type of input 1", "got bits"}));
}

TEST_CASE("outputs are checked") {
  const auto with_output = [](Output output) {
    return error_of([&] {
      GraphBuilder g;
      const NodeId x = g.input(3);
      (void)g.add("s", BinarizeNode{}, {x});
      g.output(std::move(output));
      (void)g.build();
    });
  };
  CHECK(with_output({.task = "a", .node = 0}).empty());
  CHECK(with_output({.task = "a", .node = 1}).empty());
  CHECK(holds(with_output({.task = "a b", .node = 0}), {"output: task (got 'a b'"}));
  CHECK(holds(with_output({.task = "a", .node = 2}), {"output 'a'", "node", "got 2"}));
  CHECK(holds(with_output({.task = "a", .node = 0, .kind = OutputKind::depth}), {"channels", "got 3", "expected 1"}));
  CHECK(holds(with_output({.task = "a", .node = 1, .kind = OutputKind::normals}), {"type", "got bits"}));
  CHECK(holds(with_output({.task = "a", .node = 0, .kind = OutputKind::classes, .class_names = {"x"}}),
              {"channels", "got 3", "expected 1"}));
  CHECK(holds(with_output({.task = "a", .node = 0, .class_names = {"x"}}), {"class_names"}));
  CHECK(holds(error_of([] {
                GraphBuilder g;
                g.input(3);
                (void)g.build();
              }),
              {"number of outputs", "got 0"}));
  CHECK(holds(error_of([] {
                GraphBuilder g;
                (void)g.build();
              }),
              {"number of nodes", "got 0"}));
  CHECK(holds(error_of([] {
                GraphBuilder g;
                g.output({.task = "a", .node = g.input(3)});
                (void)g.build(0);
              }),
              {"stride", "got 0"}));
}

TEST_CASE("a very long chain is refused, not overrun") {
  GraphBuilder g;
  NodeId last = g.input(3);
  for (int i = 0; i < 1'000'000; ++i) last = g.add("n", L2NormalizeNode{}, {last});
  g.output({.task = "a", .node = last});
  CHECK(holds(error_of([&] { (void)g.build(); }), {"number of nodes", "got 1000001"}));
}

TEST_CASE("tied weights are allowed, but not without bound") {
  const auto chain = [](std::size_t uses) {
    return error_of([&] {
      GraphBuilder g;
      NodeId last = g.input(64);
      const WeightName shared = g.floats({64, 1, 1, 64}, ones(64 * 64));
      for (std::size_t i = 0; i < uses; ++i) last = g.add("n", Conv2dNode{.weight = shared}, {last});
      g.output({.task = "a", .node = last});
      (void)g.build();
    });
  };
  CHECK(chain(2).empty());
  CHECK(holds(chain(1000), {"shared by too many nodes"}));
}

TEST_CASE("narrow groups count with the lanes that they leave idle") {
  const auto chain = [](std::size_t groups, std::size_t uses) {
    return error_of([&] {
      GraphBuilder g;
      NodeId last = g.input(1 << 17);
      const WeightName shared = g.floats({1 << 17, 1, 1, (1 << 17) / groups}, ones((std::size_t{1} << 34) / groups));
      for (std::size_t i = 0; i < uses; ++i) last = g.add("n", Conv2dNode{.groups = groups, .weight = shared}, {last});
      g.output({.task = "a", .node = last});
      (void)g.build();
    });
  };
  CHECK(chain(1 << 17, 4).empty());  // depthwise: no idle lanes
  CHECK(chain(1 << 16, 4).size() > 0);
  CHECK(chain(1 << 13, 4).empty());
}

TEST_CASE("weights are checked when they are added") {
  Weights weights;
  weights.add("a", {2}, AlignedVector<float>{1, 2});
  CHECK(holds(error_of([&] { weights.add("a", {1}, AlignedVector<float>{1}); }), {"'a'", "twice"}));
  CHECK(holds(error_of([&] { weights.add("b", {3}, AlignedVector<float>{1}); }), {"'b'", "number of values", "[3]"}));
  CHECK(holds(error_of([&] {
                weights.add("b", {std::size_t{1} << 40, std::size_t{1} << 40}, AlignedVector<float>{1});
              }),
              {"64 bits"}));
  CHECK(holds(error_of([&] { weights.add("b/c", {1}, AlignedVector<float>{1}); }), {"name"}));
  CHECK(holds(error_of([&] { weights.add("b", {1}, AlignedVector<float>{INFINITY}); }), {"'b'", "not finite"}));
  CHECK(holds(error_of([&] { weights.add("b", {3}, AlignedVector<std::uint64_t>{1}); }), {"'b'", "number of values", "[3]"}));
  CHECK(holds(error_of([&] { weights.add("a", {1}, AlignedVector<std::uint64_t>{1}); }), {"'a'", "twice"}));
  CHECK(weights.floats("").empty());
  CHECK(holds(error_of([&] { (void)weights.at("b"); }), {"no tensor 'b'"}));
  CHECK_THROWS_AS((void)weights.floats("b"), Error);
  CHECK_THROWS_AS((void)weights.words("a"), Error);
}

TEST_CASE("inputs that a network cannot take") {
  const Graph graph = test::small_network();
  CHECK(holds(error_of([&] { (void)make_dataflow(graph, 33, 32); }), {"multiples of the stride", "got 33x32", "of 2"}));
  CHECK(holds(error_of([&] { (void)make_dataflow(graph, 0, 32); }), {"size", "got 0x32"}));
  CHECK(holds(error_of([&] { (void)make_dataflow(graph, std::size_t{1} << 21, 32); }), {"size"}));
  CHECK(holds(error_of([&] { (void)make_dataflow(graph, std::size_t{1} << 20, std::size_t{1} << 20); }), {"too large"}));
}
