// SPDX-License-Identifier: Apache-2.0
// What NodeTraits says of every operation, held against the operation itself: each is in every_operation(), which the comparisons
// of tiers, plans and files walk; its work and cost are those counted by hand; its rows need no other rows than it says; and it may
// be written where it says.
#include <bimtdp/graph/program.hpp>
#include <bimtdp/run/kept_run.hpp>

#include "catch.hpp"
#include "graphs.hpp"

#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

using namespace bimtdp;

namespace {

constexpr std::size_t height = 16, width = 24;

/// A value's rows, as the bytes that they are.
std::vector<std::byte> rows(const ValueRef& value, std::size_t first, std::size_t count) {
  const std::size_t row_bytes = value_bytes(value.type, value.shape) / value.shape.height;
  const std::byte* begin = value.data + first * row_bytes;
  return {begin, begin + count * row_bytes};
}

/// Every node of every_operation(), its value at one size, and a way to compute it in parts.
class Computed {
 public:
  Computed() : kept_(program, noise()) {}

  [[nodiscard]] const Node& node(NodeId id) const { return graph.nodes()[id]; }
  [[nodiscard]] ValueRef value(NodeId id) { return kept_.value(id); }
  /// Copies of the rows of the inputs that rows first to first + count - 1 need: nothing else can be read.
  [[nodiscard]] std::vector<Value> inputs(NodeId id, std::size_t first, std::size_t count) {
    std::vector<Value> copies;
    for (std::size_t i = 0; i < node(id).inputs.size(); ++i) {
      const ValueRef whole = value(node(id).inputs[i]);
      const bool same = flow.uses[id][i] == RowUse::same;
      const std::size_t each = whole.shape.height / value(id).shape.height;
      const std::vector<std::byte> needed = rows(whole, same ? each * first : 0, same ? each * count : whole.shape.height);
      copies.emplace_back(whole.type, Shape{same ? each * count : whole.shape.height, whole.shape.width, whole.shape.channels});
      std::memcpy(copies.back().ref().data, needed.data(), needed.size());
    }
    return copies;
  }
  /// Rows first and following of a node's value, from inputs() of them.
  void compute(NodeId id, std::size_t first, const std::vector<Value>& inputs,
               std::variant<ValueRef, StridedView<float>> destination) {
    std::vector<ValueRef> in;
    for (const Value& input : inputs) {
      in.push_back(input.ref());
      if (flow.uses[id][in.size() - 1] == RowUse::none) in.back().data = nullptr;
    }
    const std::size_t scratch = program.scratch_bytes(id, flow.input_shapes(node(id)), flow.shapes[id]);
    const ops::OwnWorkspace workspace(program.kernels(), scratch);
    program.run(id, {.in = in,
                     .destination = std::move(destination),
                     .first_row = flow.uses[id][0] == RowUse::same ? 0 : first,
                     .height = flow.shapes[id].height,
                     .workspace = workspace});
  }

  Graph graph = test::every_operation();
  Program program{graph, kernels::reference_table()};
  Dataflow flow = make_dataflow(graph, height, width);

 private:
  static Tensor<float> noise() {
    Tensor<float> x({height, width, 3});
    test::Numbers random(11);
    for (float& value : x.span()) value = random.next();
    return x;
  }
  KeptRun kept_;
};

bool by_rows(const Node& node) {
  return visit_node(node.op, [](const auto&, auto traits) { return traits.by_rows; });
}

}  // namespace

TEST_CASE("every_operation() has every operation") {
  std::vector<int> nodes(std::variant_size_v<NodeOp>, 0);
  const Graph graph = test::every_operation();
  for (const Node& node : graph.nodes()) ++nodes[node.op.index()];
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    INFO("alternative " << i << " of NodeOp is in no node of every_operation()");
    CHECK(nodes[i] > 0);
  }
}

TEST_CASE("work and cost of every operation, counted by hand") {
  struct Counted {
    double work, words, macs, bytes;
  };
  // 16x24 pixels in, 8x12 behind the stem, 4x6 behind the pools; 20 channels are a word of 32 bits, 40 are two.
  const std::map<std::string, Counted> expected{
      {"input", {16 * 24 * 3, 0, 0, 4608}},
      {"stem", {1920 * 45, 0, 1920 * 45, 4608 + 7680}},
      {"depthwise", {1920 * 9, 0, 1920 * 9, 3 * 7680}},
      {"grouped", {1920 * 90, 0, 1920 * 90, 2 * 7680}},
      {"max_pool", {480 * 9, 0, 0, 7680 + 1920}},
      {"avg_pool", {480 * 9, 0, 0, 7680 + 1920}},
      {"add", {480 * 3, 0, 0, 4 * 1920}},
      {"affine", {480, 0, 0, 2 * 1920}},
      {"sign", {480, 0, 0, 1920 + 96}},
      {"shifted_sign", {480, 0, 0, 1920 + 96}},
      {"scaled_sign", {480, 0, 0, 1920 + 96}},
      {"integers", {480 * 180, 2700, 0, 96 + 1920}},
      {"binary", {480 * 180, 2700, 0, 96 + 2 * 1920}},
      {"folded", {480 * 180, 2700, 0, 2 * 96}},
      {"binary_groups", {120 * 9, 33.75, 0, 96 + 480}},
      {"attention", {960 * 540, 16200, 0, 3 * 96 + 192}},             // 5 convolutions for 2 targets count as 6
      {"pairwise", {960 * 720, 21600, 0, 3 * 96 + 2 * 1920 + 3840}},  // 8 for 2 targets
      {"unpack", {960, 0, 0, 192 + 3840}},
      {"concat", {1920 * 2, 0, 0, 2 * 3840 + 7680}},
      {"softmax", {1920, 0, 0, 2 * 7680}},
      {"multiply", {1920 * 2, 0, 0, 3 * 7680}},
      {"slice", {480, 0, 0, 7680 + 1920}},
      {"squeeze_excite", {480, 0, 0, 2 * 1920}},
      {"mean", {20 * 6 * 8, 0, 0, 1920 + 80}},
      {"linear", {400, 0, 400, 2 * 80}},
      {"gated", {480 * 2, 0, 0, 1920 + 80 + 1920}},
      {"bit_slice", {24 * 35, 0, 0, 2 * 192}},
      {"bit_concat", {24 * 55 * 2, 0, 0, 192 + 96 + 192}},
      {"bit_pool", {6 * 55 * 4, 0, 0, 192 + 48}},
      {"bit_nearest", {24 * 55 * 2, 0, 0, 48 + 1920 + 192}},
      {"bit_unpack", {24 * 55, 0, 0, 192 + 5280}},
      {"bilinear_size", {5 * 7 * 20, 0, 0, 1920 + 2800}},
      {"nearest", {15 * 21 * 20, 0, 0, 2800 + 25200}},
      {"normals", {72 * 20, 0, 72 * 20, 1920 + 288}},
      {"l2", {72, 0, 0, 2 * 288}},
      {"bilinear", {16 * 24 * 3, 0, 0, 288 + 4608}},
      {"relu", {24 * 55, 0, 0, 2 * 5280}}};
  const Graph graph = test::every_operation();
  const Dataflow flow = make_dataflow(graph, height, width);
  for (NodeId id = 0; id < graph.nodes().size(); ++id) {
    INFO(label(id, graph.nodes()[id]));
    REQUIRE(expected.contains(graph.nodes()[id].name));
    const Counted& counted = expected.at(graph.nodes()[id].name);
    CHECK(static_cast<double>(flow.work[id]) == counted.work);
    CHECK(flow.costs[id].words == counted.words);
    CHECK(flow.costs[id].macs == counted.macs);
    CHECK(flow.costs[id].bytes == counted.bytes);
  }
}

TEST_CASE("rows need no other rows than their node says") {
  Computed computed;
  for (NodeId id = 1; id < computed.graph.nodes().size(); ++id) {
    INFO(label(id, computed.node(id)));
    const ValueRef whole = computed.value(id);
    const std::size_t least = by_rows(computed.node(id)) ? 1 : whole.shape.height;
    for (const std::size_t band : {least, std::max<std::size_t>(least, 3)})
      for (std::size_t first = 0; first < whole.shape.height; first += band) {
        const std::size_t count = std::min(band, whole.shape.height - first);
        Value part(whole.type, {count, whole.shape.width, whole.shape.channels});
        computed.compute(id, first, computed.inputs(id, first, count), part.ref());
        CHECK(rows(part.ref(), 0, count) == rows(whole, first, count));
      }
  }
}

TEST_CASE("a node that may overwrite an input gives the same value there") {
  Computed computed;
  for (NodeId id = 1; id < computed.graph.nodes().size(); ++id) {
    const Node& node = computed.node(id);
    const auto index = visit_node(node.op, [&](const auto& n, auto traits) { return traits.overwrites(n, node.inputs.size()); });
    if (!index) continue;
    INFO(label(id, node));
    const Shape& shape = computed.flow.shapes[id];
    const std::vector<Value> inputs = computed.inputs(id, 0, shape.height);
    const ValueRef overwritten = inputs[*index].ref();
    REQUIRE(overwritten.type == computed.value(id).type);
    REQUIRE(overwritten.shape == shape);
    computed.compute(id, 0, inputs, overwritten);
    CHECK(rows(overwritten, 0, shape.height) == rows(computed.value(id), 0, shape.height));
  }
}

TEST_CASE("a node that can write into another value leaves the other channels alone") {
  Computed computed;
  for (NodeId id = 1; id < computed.graph.nodes().size(); ++id) {
    if (!visit_node(computed.node(id).op, [](const auto& n, auto traits) { return traits.writes_strided(n); })) continue;
    INFO(label(id, computed.node(id)));
    const Tensor<float> whole = computed.value(id).to_tensor();
    const Shape shape = whole.shape();
    Tensor<float> wide({shape.height, shape.width, shape.channels + 5});
    for (float& value : wide.span()) value = -7.0F;
    computed.compute(id, 0, computed.inputs(id, 0, shape.height), StridedView<float>(wide.data() + 2, shape, shape.channels + 5));
    for (std::size_t y = 0; y < shape.height; ++y)
      for (std::size_t x = 0; x < shape.width; ++x)
        for (std::size_t c = 0; c < shape.channels + 5; ++c)
          CHECK(wide(y, x, c) == (c >= 2 && c < shape.channels + 2 ? whole(y, x, c - 2) : -7.0F));
  }
}
