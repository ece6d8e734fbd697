// SPDX-License-Identifier: Apache-2.0
// Every weight and attribute of every operation: what it may be, and what is said when it is not.
#include "bench.hpp"
#include "catch.hpp"
#include "graphs.hpp"

#include <array>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace bimtdp;
using kernels::ActivationKind;
using namespace test;

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
  CHECK(holds(one(ResizeNode{.size = {3, 0}}), {"size (got 0"}));
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
