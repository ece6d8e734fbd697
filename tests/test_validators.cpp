// SPDX-License-Identifier: Apache-2.0
// Both sides of every border that a graph and its geometry have: the last value that is allowed, the first that is not.
// mutate_validators.py found which were missing elsewhere.
#include <bimtdp/graph/dataflow.hpp>
#include <bimtdp/graph/graph_builder.hpp>

#include "catch.hpp"
#include "errors.hpp"
#include "graphs.hpp"

#include <functional>
#include <string>
#include <utility>
#include <vector>

using namespace bimtdp;
using kernels::ActivationKind;
using test::error_of;
using test::holds;

namespace {

constexpr std::size_t C = 4;  // channels of the maps that nodes under test get
constexpr std::size_t beyond = max_extent + 1;

std::vector<float> ones(std::size_t count) { return std::vector<float>(count, 1.0f); }

/// A graph under construction: a float map, its signs, and what is wrong with them.
struct Bench {
  GraphBuilder g{};
  NodeId floats = g.input(C);
  NodeId bits = g.add("bits", BinarizeNode{}, {floats});
  NodeId narrow = g.add("narrow", SliceNode{0, C - 1}, {floats});
  NodeId narrow_bits = g.add("narrow_bits", SliceNode{0, C - 1}, {bits});
  NodeId low = g.add("low", AdaptiveAvgPool2dNode{{7, 8}}, {floats});
  NodeId pixel = g.add("pixel", AdaptiveAvgPool2dNode{{1, 1}}, {floats});
  NodeId thin = g.add("thin", AdaptiveAvgPool2dNode{{8, 7}}, {floats});

  WeightName channel(std::size_t count = C) { return g.floats({count}, ones(count)); }
  WeightName conv() { return g.floats({C, 1, 1, C}, ones(C * C)); }
  WeightName signs() { return g.signs({C, 1, 1, C}, ones(C * C)); }
  AttentionConvSpec spec() { return {.weight = signs()}; }
  BinaryAttentionNode attention(std::size_t sources, Identity identity = Identity::binary) {
    BinaryAttentionNode node{.targets = {0}, .identity = identity, .kernel = {1, 1}, .padding = {}};
    node.gates = {spec()};
    for (std::size_t i = 0; i < sources; ++i) node.messages.push_back(spec());
    return node;
  }
};

/// What is said of a node with these inputs, at 8x8.
std::string error_with(Bench& bench, NodeOp op, std::vector<NodeId> inputs) {
  return error_of([&] {
    bench.g.output({.task = "out", .node = bench.g.add("node", std::move(op), std::move(inputs))});
    (void)make_dataflow(bench.g.build(), 8, 8);
  });
}

/// An operation, the type of its first and of its further inputs, and how many it takes. make(bench, inputs) fits their number.
struct Kind {
  std::string name;
  std::function<NodeOp(Bench&, std::size_t)> make;
  std::size_t least, most;
  bool first_bits = false, other_bits = false, either = false;
};

const std::vector<Kind>& kinds() {
  const auto fixed = [](auto node) { return [node](Bench&, std::size_t) { return NodeOp(node); }; };
  static const std::vector<Kind> list{
      {"conv2d", [](Bench& b, std::size_t) { return Conv2dNode{.weight = b.conv()}; }, 1, 2},
      {"binary_conv2d", [](Bench& b, std::size_t) { return BinaryConv2dNode{.weight = b.signs()}; }, 1, 2, true},
      {"binary_conv2d to bits",
       [](Bench& b, std::size_t) { return BinaryConv2dNode{.weight = b.signs(), .output = BinaryOutput::bits}; }, 1, 1, true},
      {"binary_conv2d to integers",
       [](Bench& b, std::size_t) { return BinaryConv2dNode{.weight = b.signs(), .output = BinaryOutput::integer}; }, 1, 1, true},
      {"binary_attention", [](Bench& b, std::size_t inputs) { return b.attention(inputs); }, 1, 16, true, true},
      {"linear",
       [](Bench& b, std::size_t) {
         return LinearNode{.weight = b.g.floats({C, C}, ones(C * C))};
       },
       1, 1},
      {"squeeze_excite",
       [](Bench& b, std::size_t) {
         return SqueezeExciteNode{b.g.floats({C, C}, ones(C * C)), b.channel(), b.g.floats({C, C}, ones(C * C)), b.channel()};
       },
       1, 1},
      {"concat", fixed(ConcatNode{}), 1, 64, false, false, true},
      {"slice", fixed(SliceNode{0, 1}), 1, 1, false, false, true},
      {"binarize", fixed(BinarizeNode{}), 1, 1},
      {"unpack", fixed(UnpackNode{}), 1, 1, true},
      {"affine", [](Bench& b, std::size_t) { return AffineNode{.scale = b.channel(), .bias = b.channel()}; }, 1, 1},
      {"activation", fixed(ActivationNode{{.kind = ActivationKind::relu}}), 1, 1},
      {"add", fixed(AddNode{}), 2, 16},
      {"multiply", fixed(MultiplyNode{}), 2, 2},
      {"softmax", fixed(SoftmaxNode{1}), 1, 1},
      {"l2_normalize", fixed(L2NormalizeNode{}), 1, 1},
      {"max_pool2d", fixed(MaxPool2dNode{}), 1, 1, false, false, true},
      {"avg_pool2d", fixed(AvgPool2dNode{.kernel = {1, 1}, .stride = {1, 1}}), 1, 1},
      {"adaptive_avg_pool2d", fixed(AdaptiveAvgPool2dNode{}), 1, 1},
      {"resize", [](Bench&, std::size_t inputs) { return ResizeNode{.factor = inputs == 2 ? 0u : 1u}; }, 1, 2},
  };
  return list;
}

/// The right inputs for a kind, `count` of them.
std::vector<NodeId> inputs_of(const Kind& kind, const Bench& bench, std::size_t count) {
  std::vector<NodeId> inputs(count, kind.other_bits ? bench.bits : bench.floats);
  if (count > 0) inputs[0] = kind.first_bits ? bench.bits : kind.name == "linear" ? bench.pixel : bench.floats;
  return inputs;
}

std::string error_with(const Kind& kind, std::size_t count, const std::function<void(Bench&, std::vector<NodeId>&)>& change) {
  Bench bench;
  std::vector<NodeId> inputs = inputs_of(kind, bench, count);
  change(bench, inputs);
  NodeOp op = kind.make(bench, count);
  return error_with(bench, std::move(op), std::move(inputs));
}

std::string error_with(const Kind& kind, std::size_t count) {
  return error_with(kind, count, [](Bench&, std::vector<NodeId>&) {});
}

}  // namespace

TEST_CASE("every operation takes as many inputs as it says, no fewer and no more") {
  for (const Kind& kind : kinds()) {
    INFO(kind.name);
    CHECK(error_with(kind, kind.least) == "");
    CHECK(error_with(kind, kind.most) == "");
    CHECK(holds(error_with(kind, kind.least - 1), {"number of inputs (got " + std::to_string(kind.least - 1) + ","}));
    CHECK(holds(error_with(kind, kind.most + 1), {"number of inputs (got " + std::to_string(kind.most + 1) + ","}));
  }
}

TEST_CASE("every input has its type") {
  for (const Kind& kind : kinds())
    for (std::size_t count = kind.least; count <= std::min<std::size_t>(kind.most, 3); ++count)
      for (std::size_t i = 0; i < count; ++i) {
        INFO(kind.name << ", input " << i << " of " << count);
        const std::string error = error_with(kind, count, [&](Bench& bench, std::vector<NodeId>& inputs) {
          inputs[i] = inputs[i] == bench.bits ? bench.floats : bench.bits;
        });
        if (kind.name == "resize" && i == 1) continue;  // only its size counts
        if (kind.either && count == 1) {
          CHECK(error == "");
        } else if (kind.either && i == 0) {  // the others have to follow the first
          CHECK(holds(error, {"type of input 1 (got float, expected bits"}));
        } else {
          CHECK(holds(error, {"type of input " + std::to_string(i) + " (got"}));
        }
      }
  Bench bench;  // an integer map is neither float nor bits
  const NodeId integers =
      bench.g.add("integers", BinaryConv2dNode{.weight = bench.signs(), .output = BinaryOutput::integer}, {bench.bits});
  for (const NodeOp& op : {NodeOp(ConcatNode{}), NodeOp(SliceNode{0, 1}), NodeOp(MaxPool2dNode{})}) {
    Bench copy = bench;
    CHECK(holds(error_with(copy, op, {integers}), {"type of input 0 (got", "expected float or bits"}));
  }
  CHECK(error_with(bench, ResizeNode{.mode = ResizeMode::nearest, .factor = 2}, {bench.bits}) == "");
}

TEST_CASE("inputs that go together have the same channels and size") {
  for (const Kind& kind : kinds()) {
    if (kind.most == 1 || kind.name == "concat" || kind.name == "resize") continue;
    INFO(kind.name);
    const auto second = [&](NodeId Bench::*wrong, NodeId Bench::*wrong_bits) {
      return error_with(kind, 2, [&](Bench& b, std::vector<NodeId>& in) { in[1] = kind.other_bits ? b.*wrong_bits : b.*wrong; });
    };
    CHECK(holds(second(&Bench::narrow, &Bench::narrow_bits), {"channels of input 1 (got 3, expected 4)"}));
    if (kind.other_bits) continue;
    for (NodeId Bench::*size : {&Bench::low, &Bench::thin}) CHECK(holds(second(size, size), {"node", "got", "8x"}));
  }
  for (const bool high : {true, false}) {
    Bench concat, attention, real;
    CHECK(holds(error_with(concat, ConcatNode{}, {concat.floats, high ? concat.low : concat.thin}), {"size of input 1"}));
    const NodeId other = attention.g.add("other", BinarizeNode{}, {high ? attention.low : attention.thin});
    BinaryAttentionNode node = attention.attention(2);
    CHECK(holds(error_with(attention, node, {attention.bits, other}), {"size of input 1"}));
    node = real.attention(1, Identity::real);
    CHECK(holds(error_with(real, node, {real.bits, high ? real.low : real.thin}), {"size of input 1"}));
  }
  Bench real;
  BinaryAttentionNode node = real.attention(1, Identity::real);
  CHECK(holds(error_with(real, node, {real.bits, real.narrow}), {"channels of input 1"}));
  for (const std::array<std::size_t, 2> size : {std::array<std::size_t, 2>{1, 1}, {1, 8}, {8, 1}}) {
    Bench bench;
    const NodeId small = bench.g.add("small", AdaptiveAvgPool2dNode{size}, {bench.floats});
    const std::string error = error_with(bench, MultiplyNode{}, {bench.floats, small});
    CHECK(error.empty() == (size[0] == size[1]));
  }
}

// -- weights and attributes -----------------------------------------------------------------------------------------------------

namespace {

/// Archive that lists the names of a node's weights, each with its field.
struct WeightFields {
  std::vector<std::pair<std::string, WeightName*>> found{};
  std::size_t optional = 0;

  void weight(std::string_view key, WeightName& name) { found.emplace_back(key, &name); }
  void optional_weight(std::string_view key, WeightName& name) {
    if (!name.empty()) weight(key, name);
  }
  void activation(ActivationSpec& spec) {
    optional_weight("activation slope", spec.slope);
    optional_weight("activation shift_in", spec.shift_in);
    optional_weight("activation shift_out", spec.shift_out);
  }
  void optional_activation(ActivationSpec& spec) { activation(spec); }
  void convolutions(std::string_view, std::vector<AttentionConvSpec>& list) {
    for (AttentionConvSpec& conv : list) {
      weight("weight", conv.weight);
      optional_weight("alpha", conv.alpha);
      optional_weight("scale", conv.scale);
      optional_weight("bias", conv.bias);
    }
  }
  void integer(std::string_view, std::size_t&) {}
  void optional_integer(std::string_view, std::size_t&) {}
  void pair(std::string_view, std::array<std::size_t, 2>&) {}
  void optional_pair(std::string_view, std::array<std::size_t, 2>&) {}
  void boolean(std::string_view, bool&) {}
  void choice(std::string_view, auto&, const auto&) {}
  void indices(std::string_view, std::vector<std::size_t>&) {}
  void padding(std::string_view, Padding&) {}
  void window(Window&) {}
};

WeightFields weights_of(Node& node) {
  WeightFields fields;
  std::visit([&]<class N>(N& n) { NodeTraits<N>::fields(fields, n); }, node.op);
  return fields;
}

/// A tensor of another shape with the values of `tensor`, and zeros.
WeightTensor reshaped(const WeightTensor& tensor, std::vector<std::size_t> shape) {
  WeightTensor result{std::move(shape), tensor.values};
  std::size_t count = 1;
  for (const std::size_t extent : result.shape) count *= extent;
  std::visit([&](auto& values) { values.assign(count, {}); }, result.values);
  return result;
}

/// What is said of every_operation() where the k-th weight of a node is another tensor.
std::string error_with_weight(NodeId id, std::size_t k, const WeightTensor& other) {
  const Graph graph = test::every_operation();
  std::vector<Node> nodes = graph.nodes();
  Weights weights = graph.weights();
  *weights_of(nodes[id]).found[k].second = "other";
  std::visit([&](const auto& values) { weights.add("other", other.shape, values); }, other.values);
  return error_of([&] { (void)Graph(nodes, weights, graph.outputs(), graph.stride()); });
}

}  // namespace

TEST_CASE("every weight of every operation has the right shape and type and is there") {
  const Graph graph = test::every_operation();
  for (NodeId id = 0; id < graph.nodes().size(); ++id) {
    std::vector<Node> nodes = graph.nodes();
    const auto fields = weights_of(nodes[id]).found;
    for (std::size_t k = 0; k < fields.size(); ++k) {
      const auto& [key, name] = fields[k];
      const WeightTensor& tensor = graph.weights().at(*name);
      const std::string where = label(id, nodes[id]) + ": ";
      INFO(where << key);
      for (std::size_t axis = 0; axis < tensor.shape.size(); ++axis) {
        std::vector<std::size_t> shape = tensor.shape;
        ++shape[axis];
        const std::string error = error_with_weight(id, k, reshaped(tensor, shape));
        CHECK(!error.empty());
        if (axis > 0 || tensor.shape.size() == 1) CHECK(holds(error, {where, key + " 'other': shape (got"}));
      }
      const bool floats = tensor.values.index() == 0;
      WeightTensor swapped = reshaped(tensor, tensor.shape);
      if (floats) {
        swapped.values = AlignedVector<std::uint64_t>(std::get<0>(tensor.values).size());
      } else {
        swapped.values = AlignedVector<float>(std::get<1>(tensor.values).size());
      }
      CHECK(holds(error_with_weight(id, k, swapped), {"weight 'other'", floats ? "dtype (got U64" : "dtype (got floats"}));
      std::vector<Node> absent = graph.nodes();
      *weights_of(absent[id]).found[k].second = "absent";
      CHECK(holds(error_of([&] { (void)Graph(absent, graph.weights(), graph.outputs(), graph.stride()); }),
                  {where, key + ": no weight 'absent'"}));
    }
  }
}

TEST_CASE("weights that a node needs cannot be left out") {
  const auto without = [](auto make) {
    Bench bench;
    auto op = make(bench);
    return error_with(bench, op, {std::holds_alternative<BinaryConv2dNode>(NodeOp(op)) ? bench.bits : bench.floats});
  };
  const auto matrix = [](Bench& b) { return b.g.floats({C, C}, ones(C * C)); };
  CHECK(holds(without([](Bench&) { return Conv2dNode{}; }), {"missing weight: weight"}));
  CHECK(holds(without([](Bench&) { return BinaryConv2dNode{}; }), {"missing weight: weight"}));
  CHECK(holds(without([](Bench&) { return LinearNode{}; }), {"missing weight: weight"}));
  CHECK(holds(without([](Bench& b) { return AffineNode{.bias = b.channel()}; }), {"missing weight: scale"}));
  CHECK(holds(without([](Bench& b) { return AffineNode{.scale = b.channel()}; }), {"missing weight: bias"}));
  CHECK(holds(without([&](Bench& b) { return SqueezeExciteNode{matrix(b), {}, matrix(b), b.channel()}; }), {"reduce_bias"}));
  CHECK(holds(without([&](Bench& b) { return SqueezeExciteNode{matrix(b), b.channel(), {}, b.channel()}; }), {"expand_weight"}));
  CHECK(holds(without([&](Bench& b) { return SqueezeExciteNode{matrix(b), b.channel(), matrix(b), {}}; }), {"expand_bias"}));
  CHECK(holds(without([](Bench& b) { return Conv2dNode{.weight = b.g.floats({}, ones(1))}; }), {"got no dimensions"}));
  CHECK(holds(without([](Bench& b) { return LinearNode{.weight = b.g.floats({0, C}, {})}; }), {"output channels (got 0"}));
}

TEST_CASE("an activation has the parameters of its kind and no others") {
  for (const ActivationKind kind : {ActivationKind::relu, ActivationKind::relu6, ActivationKind::hardtanh, ActivationKind::sigmoid,
                                    ActivationKind::prelu, ActivationKind::rprelu})
    for (unsigned given = 0; given < 8; ++given) {
      Bench bench;
      ActivationSpec spec{.kind = kind};
      if (given & 1u) spec.slope = bench.channel();
      if (given & 2u) spec.shift_in = bench.channel();
      if (given & 4u) spec.shift_out = bench.channel();
      const unsigned wanted = kind == ActivationKind::prelu ? 1u : kind == ActivationKind::rprelu ? 7u : 0u;
      const std::string error = error_with(bench, ActivationNode{spec}, {bench.floats});
      CHECK(error.empty() == (given == wanted));
      if (given != wanted) CHECK(holds(error, {"activation: s"}));
    }
  const ActivationSpec sloped{.kind = ActivationKind::prelu};
  for (const auto& make : std::vector<std::function<NodeOp(Bench&)>>{
           [&](Bench& b) { return Conv2dNode{.weight = b.conv(), .activation = sloped}; },
           [&](Bench& b) { return BinaryConv2dNode{.weight = b.signs(), .activation = sloped}; },
           [&](Bench& b) {
             return LinearNode{.weight = b.g.floats({C, C}, ones(C * C)), .activation = sloped};
           },
           [&](Bench& b) { return AffineNode{.scale = b.channel(), .bias = b.channel(), .activation = sloped}; },
           [&](Bench&) { return AddNode{.activation = sloped}; }}) {
    Bench bench;
    const NodeOp op = make(bench);
    std::vector<NodeId> inputs{std::holds_alternative<BinaryConv2dNode>(op) ? bench.bits : bench.floats};
    if (std::holds_alternative<AddNode>(op)) inputs.push_back(bench.floats);
    CHECK(holds(error_with(bench, op, inputs), {"activation: slope"}));
  }
}

TEST_CASE("what belongs to one output of a binary convolution alone, and a scale without a bias") {
  for (const BinaryOutput output : {BinaryOutput::floats, BinaryOutput::bits, BinaryOutput::integer}) {
    const auto with = [&](auto change) {
      Bench bench;
      BinaryConv2dNode node{.weight = bench.signs(), .output = output};
      change(bench, node);
      return error_with(bench, node, {bench.bits});
    };
    const bool integer = output == BinaryOutput::integer;
    CHECK(with([](Bench&, auto&) {}).empty());
    CHECK(with([](Bench& b, auto& n) { n.alpha = b.channel(); }).empty() == !integer);
    CHECK(with([](Bench& b, auto& n) { n.bias = b.channel(); }).empty() == !integer);
    CHECK(holds(with([](Bench& b, auto& n) { n.scale = b.channel(); }),
                {integer ? "belong to the other outputs" : "scale needs bias"}));
    CHECK(with([](Bench&, auto& n) { n.activation.kind = ActivationKind::relu; }).empty() == (output == BinaryOutput::floats));
  }
  Bench gate, message, conv, binarize;
  BinaryAttentionNode node = gate.attention(1);
  node.gates[0].scale = gate.channel();
  CHECK(holds(error_with(gate, node, {gate.bits}), {"scale needs bias"}));
  node = message.attention(1);
  node.messages[0].scale = message.channel();
  CHECK(holds(error_with(message, node, {message.bits}), {"scale needs bias"}));
  CHECK(holds(error_with(conv, Conv2dNode{.weight = conv.conv(), .scale = conv.channel()}, {conv.floats}), {"scale needs bias"}));
  CHECK(holds(error_with(binarize, BinarizeNode{.scale = binarize.channel()}, {binarize.floats}), {"scale needs shift"}));
}

TEST_CASE("attributes at their borders") {
  const auto one = [](NodeOp op) {
    Bench bench;
    return error_with(bench, std::move(op), {bench.floats});
  };
  CHECK(one(SliceNode{0, C}).empty());
  CHECK(one(SliceNode{C - 1, C}).empty());
  CHECK(holds(one(SliceNode{1, C + 1}), {"channels (got 1 to 5"}));
  CHECK(holds(one(SliceNode{2, 1}), {"channels (got 2 to 1"}));
  CHECK(one(SoftmaxNode{C}).empty());
  CHECK(one(AvgPool2dNode{.kernel = {3, 2}, .stride = {1, 1}, .padding = {2, 2, 1, 1}}).empty());
  for (const Padding& p : {Padding{3, 0, 0, 0}, {0, 3, 0, 0}, {0, 0, 2, 0}, {0, 0, 0, 2}})
    CHECK(holds(one(AvgPool2dNode{.kernel = {3, 2}, .stride = {1, 1}, .padding = p}), {"padding (got"}));
  CHECK(holds(one(AvgPool2dNode{.kernel = {0, 2}}), {"kernel (got 0"}));
  CHECK(holds(one(MaxPool2dNode{{.kernel = {1, 1}, .stride = {0, 1}}}), {"stride (got 0"}));
  CHECK(holds(one(AdaptiveAvgPool2dNode{{1, beyond}}), {"size (got 1048577"}));
  CHECK(holds(one(ResizeNode{.size = {0, 3}}), {"size (got 0"}));
  CHECK(holds(one(ResizeNode{.size = {beyond, 1}}), {"size (got 1048577"}));
  CHECK(holds(one(ResizeNode{.factor = beyond}), {"factor (got 1048577"}));
  CHECK(one(ResizeNode{.size = {1, 1}}).empty());
  CHECK(holds(one(Conv2dNode{.window = square_window(3), .weight = "w"}), {"no weight 'w'"}));
  const auto input = [](std::size_t channels) {
    return error_of([&] {
      GraphBuilder g;
      g.output({.task = "a", .node = g.input(channels)});
      (void)g.build();
    });
  };
  CHECK(input(max_extent).empty());
  CHECK(holds(input(beyond), {"channels (got 1048577, expected 1 to 1048576"}));
  CHECK(holds(input(0), {"channels (got 0"}));
}

// -- the graph as a whole -------------------------------------------------------------------------------------------------------

namespace {

std::string graph_error(const std::function<void(GraphBuilder&, NodeId)>& change, std::size_t channels = 1,
                        std::size_t stride = 1) {
  return error_of([&] {
    GraphBuilder g;
    const NodeId x = g.input(channels);
    change(g, x);
    (void)g.build(stride);
  });
}

}  // namespace

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

// -- geometry -------------------------------------------------------------------------------------------------------------------

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
  CHECK(flow(max_extent, 1 << 11).empty());  // 2^31 elements
  CHECK(holds(flow(max_extent, (1 << 11) + 1), {"output too large"}));
}

TEST_CASE("windows at their borders") {
  const auto extent = [](std::size_t input, std::size_t kernel, std::size_t stride, std::size_t dilation, std::size_t before,
                         std::size_t after) {
    return error_of([&] { (void)window_extent(input, kernel, stride, dilation, before, after, "here"); });
  };
  CHECK(window_extent(max_extent, 1, 1, 1, max_extent, max_extent, "here") == 3 * max_extent);
  CHECK(window_extent(max_extent, max_extent, max_extent, 1, 0, 0, "here") == 1);
  CHECK(window_extent(1, 1, 1, max_extent, 0, 0, "here") == 1);
  CHECK(holds(extent(beyond, 1, 1, 1, 0, 0), {"here: an extent is above"}));
  CHECK(holds(extent(max_extent, beyond, 1, 1, 1, 0), {"an extent is above"}));
  CHECK(holds(extent(1, 1, beyond, 1, 0, 0), {"an extent is above"}));
  CHECK(holds(extent(1, 1, 1, beyond, 0, 0), {"an extent is above"}));
  CHECK(holds(extent(1, 1, 1, 1, beyond, 0), {"an extent is above"}));
  CHECK(holds(extent(1, 1, 1, 1, 0, beyond), {"an extent is above"}));
  CHECK(holds(extent(0, 1, 1, 1, 1, 0), {"must be positive"}));
  CHECK(holds(extent(1, 0, 1, 1, 0, 0), {"must be positive"}));
  CHECK(holds(extent(1, 1, 0, 1, 0, 0), {"must be positive"}));
  CHECK(holds(extent(1, 1, 1, 0, 0, 0), {"must be positive"}));
  CHECK(extent(2, 3, 1, 1, 1, 0).empty());
  CHECK(holds(extent(2, 3, 1, 1, 0, 0), {"does not fit into the padded input (got 3 pixels, expected at most 2)"}));
}

TEST_CASE("rows of a map at their borders") {
  const auto rows = [](const Shape& part, std::size_t first) {
    return error_of([&] { check_rows(part, first, {8, 6, 4}, "here"); });
  };
  CHECK(rows({8, 6, 4}, 0).empty());
  CHECK(rows({3, 6, 4}, 5).empty());
  CHECK(rows({0, 6, 4}, 8).empty());
  for (const auto& [part, first] : {std::pair<Shape, std::size_t>{{3, 6, 4}, 6},
                                    {{9, 6, 4}, 0},
                                    {{0, 6, 4}, 9},
                                    {{1, 6, 4}, 9},
                                    {{8, 5, 4}, 0},
                                    {{8, 6, 3}, 0}})
    CHECK(holds(rows(part, first), {"here: rows (got"}));
}

TEST_CASE("convolutions at their borders") {
  const auto conv = [](const Window& w, std::size_t groups = 1, std::size_t in = 1, std::size_t out = 1) {
    return error_of([&] { (void)ops::check_convolution(w, groups, in, out, "here"); });
  };
  const std::size_t M = max_extent;
  CHECK(conv({.kernel = {1, M}, .stride = {M, M}, .dilation = {M, M}, .padding = {M, M, M, M}}).empty());
  CHECK(conv({.kernel = {M, 1}}).empty());
  CHECK(conv({}, M, M, M).empty());
  for (const Window& w :
       std::vector<Window>{{.kernel = {beyond, 1}}, {.kernel = {1, beyond}}, {.kernel = {0, 1}}, {.kernel = {1, 0}}})
    CHECK(holds(conv(w), {"here: kernel (got"}));
  for (const Window& w :
       std::vector<Window>{{.stride = {beyond, 1}}, {.stride = {1, beyond}}, {.stride = {0, 1}}, {.stride = {1, 0}}})
    CHECK(holds(conv(w), {"here: stride (got"}));
  for (const Window& w : std::vector<Window>{{.dilation = {beyond, 1}}, {.dilation = {1, 0}}})
    CHECK(holds(conv(w), {"dilation (got"}));
  for (const Padding& p : {Padding{beyond, 0, 0, 0}, {0, beyond, 0, 0}, {0, 0, beyond, 0}, {0, 0, 0, beyond}})
    CHECK(holds(conv({.padding = p}), {"here: padding (got"}));
  CHECK(holds(conv({}, 1, beyond, 1), {"input channels (got"}));
  CHECK(holds(conv({}, 1, 0, 1), {"input channels (got 0"}));
  CHECK(holds(conv({}, 1, 1, beyond), {"output channels (got"}));
  CHECK(holds(conv({}, 1, 1, 0), {"output channels (got 0"}));
  CHECK(holds(conv({}, 0, 1, 1), {"groups (got 0"}));
  CHECK(holds(conv({}, beyond, 1, 1), {"groups (got 1048577, expected 1 to"}));
  CHECK(holds(conv({}, 2, 4, 3), {"groups (got 2, expected a divisor"}));
  CHECK(holds(conv({}, 2, 3, 4), {"groups (got 2, expected a divisor"}));
  CHECK(conv({.kernel = {4096, 4096}}).empty());  // 2^24 products
  CHECK(holds(conv({.kernel = {97, 257}}, 1, 673), {"kernel too large (got 16777217"}));

  const auto binary = [](const Window& w) { return error_of([&] { ops::BinaryCounts::check_geometry(w, 1, 1, 1, "here"); }); };
  CHECK(binary({.kernel = {256, 256}}).empty());
  CHECK(holds(binary({.kernel = {1, 65537}}), {"kernel (got 65537 taps"}));
  CHECK(holds(binary({.kernel = {1, 1}, .stride = {0, 1}}), {"stride (got 0"}));
}

TEST_CASE("a map of windows at its borders") {
  const auto stretches = [](const Shape& input, const Window& w) {
    return error_of([&] { (void)ops::WindowStretches(input, w, "here"); });
  };
  CHECK(stretches({max_extent, 1, 1}, {}).empty());
  CHECK(stretches({1, max_extent, 1}, {}).empty());
  CHECK(holds(stretches({max_extent, 1, 1}, {.padding = {1, 0, 0, 0}}), {"output of 1048577x1x1"}));
  CHECK(holds(stretches({1, max_extent, 1}, {.padding = {0, 0, 0, 1}}), {"output of 1x1048577x1"}));
}

TEST_CASE("an attention at its borders") {
  using namespace bimtdp::ops;
  const auto attention = [](auto change, std::size_t sources = 2, std::vector<std::size_t> targets = {0}) {
    std::vector<AttentionConv> gates(targets.size()), messages(sources);
    BinaryAttentionParameters p{.channels = C, .sources = sources, .targets = targets, .window = square_window(3)};
    p.gates = gates, p.messages = messages;
    change(p);
    return error_of([&] { check_attention(p, "here"); });
  };
  const auto same = [](auto&) {};
  CHECK(attention(same).empty());
  CHECK(attention(same, 64).empty());
  CHECK(holds(attention(same, 65), {"here: sources (got 65"}));
  CHECK(holds(attention(same, 0), {"sources (got 0"}));
  CHECK(attention(same, 2, {1, 0}).empty());
  CHECK(holds(attention(same, 2, {1, 0, 1}), {"targets (got 3"}));
  CHECK(holds(attention(same, 2, {}), {"targets (got 0"}));
  CHECK(holds(attention(same, 2, {2}), {"targets (got source 2"}));
  CHECK(holds(attention([](auto& p) { p.gates = p.gates.first(0); }), {"number of gates"}));
  CHECK(holds(attention([](auto& p) { p.messages = p.messages.first(1); }), {"number of messages"}));
  CHECK(holds(attention([](auto& p) { p.channels = beyond; }), {"channels (got 1048577"}));
  for (const std::size_t axis : {0u, 1u}) {
    CHECK(holds(attention([&](auto& p) { p.window.stride[axis] = 2; }), {"stride and dilation must be 1"}));
    CHECK(holds(attention([&](auto& p) { p.window.dilation[axis] = 2; }), {"stride and dilation must be 1"}));
    CHECK(holds(attention([&](auto& p) { ++p.window.kernel[axis]; }), {"padding must keep the size"}));
  }
}
