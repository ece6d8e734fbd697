// SPDX-License-Identifier: Apache-2.0
// How many inputs every operation takes, of which type, and which of them belong together.
#include "bench.hpp"
#include "catch.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <string>
#include <utility>
#include <vector>

using namespace bimtdp;
using kernels::ActivationKind;
using namespace test;

namespace {

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
  Bench resized = bench;
  CHECK(holds(error_with(resized, ResizeNode{.mode = ResizeMode::nearest, .factor = 2}, {integers}), {"type of input 0 (got"}));
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
  Bench linear;
  const LinearNode whole{.weight = linear.g.floats({C, C}, ones(C * C))};
  CHECK(holds(error_with(linear, whole, {linear.floats}), {"input (got 8x8x4, expected 1x1x4)"}));
  for (const std::array<std::size_t, 2> size : {std::array<std::size_t, 2>{1, 1}, {1, 8}, {8, 1}}) {
    Bench bench;
    const NodeId small = bench.g.add("small", AdaptiveAvgPool2dNode{size}, {bench.floats});
    const std::string error = error_with(bench, MultiplyNode{}, {bench.floats, small});
    CHECK(error.empty() == (size[0] == size[1]));
  }
}
