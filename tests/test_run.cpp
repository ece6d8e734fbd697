// SPDX-License-Identifier: Apache-2.0
// Whole small networks: every operation, all kernel tables and thread counts give the same bits; no allocation after the
// first run of a size; buffer reuse changes nothing.
#include <bimtdp/bimtdp.hpp>
#include <bimtdp/io/digest.hpp>
#include <bimtdp/run/kept_run.hpp>

#include "allocations.hpp"
#include "catch.hpp"
#include "errors.hpp"
#include "graphs.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

using namespace bimtdp;

namespace {

Tensor<float> noise(const Shape& shape, std::uint32_t seed = 5) {
  Tensor<float> x(shape);
  test::Numbers random(seed);
  for (float& value : x.span()) value = random.next();
  return x;
}

std::vector<std::string> digests(const Graph& graph, const kernels::KernelTable& table, const Tensor<float>& input,
                                 std::size_t threads) {
  const Program program(graph, table);
  KeptRun kept(program, input, {}, threads);
  std::vector<std::string> result;
  for (NodeId id = 0; id < kept.count(); ++id) result.push_back(digest(kept.value(id)));
  return result;
}

}  // namespace

TEST_CASE("a network built by hand runs on a photo") {
  const Model model(test::small_network());
  const Predictions maps = model.run(test::noise_photo(32, 48));
  CHECK(maps["segmentation"].shape() == Shape{32, 48, 4});
  CHECK(maps["depth"].shape() == Shape{16, 24, 1});
  CHECK(maps.contains("depth"));
  CHECK_THROWS_AS((void)maps["edges"], Error);
}

TEST_CASE("every operation gives the same bits on every table and thread count") {
  const Graph graph = test::every_operation();
  for (const auto& [height, width] : {std::pair<std::size_t, std::size_t>{16, 16}, {36, 20}, {8, 52}, {12, 8}}) {
    Tensor<float> input = noise({height, width, 3});
    if (height == 12) {  // what machines make of these differs in the NaN's sign and payload, nowhere else
      constexpr float infinity = std::numeric_limits<float>::infinity(), huge = std::numeric_limits<float>::max();
      constexpr std::array<float, 6> special{infinity, -infinity, std::numeric_limits<float>::quiet_NaN(), huge, -huge, -0.0f};
      for (std::size_t i = 0; i < input.span().size(); i += 11) input.span()[i] = special[i / 11 % special.size()];
    }
    const auto expected = digests(graph, kernels::reference_table(), input, 1);
    std::vector<const kernels::KernelTable*> tables(kernels::tables().begin(), kernels::tables().end());
    tables.push_back(&kernels::reference_table());
    for (const kernels::KernelTable* table : tables) {
      for (std::size_t threads = 1; threads <= 4; ++threads) {
        const auto got = digests(graph, *table, input, threads);
        for (NodeId id = 0; id < got.size(); ++id) {
          INFO(table->name << ", " << threads << " threads, " << height << "x" << width << ", " << label(id, graph.nodes()[id]));
          CHECK(got[id] == expected[id]);
        }
      }
    }
  }
}

namespace {

/// Compares the outputs of plans with many thread counts and bands with those of a run that keeps every value.
void expect_same_for_every_plan(const Graph& graph, std::size_t height, std::size_t width) {
  const Tensor<float> input = noise({height, width, graph.values()[0].channels});
  for (const kernels::KernelTable* table : kernels::tables()) {
    const Program program(graph, *table);
    KeptRun kept(program, input);
    for (std::size_t threads = 1; threads <= 5; ++threads)
      for (const std::size_t band_bytes : {std::size_t{1}, std::size_t{3000}, std::size_t{1} << 30}) {
        const Plan plan(program, height, width, {.threads = threads, .band_bytes = band_bytes});
        AlignedVector<std::byte> arena(plan.arena_bytes(), std::byte{0xff});
        std::copy_n(input.data(), input.span().size(), plan.value(0, arena).floats().data);
        Team team(threads);
        run(program, plan, team, arena);
        for (const Output& output : graph.outputs()) {
          INFO(table->name << ", " << threads << " threads, bands of " << band_bytes << " bytes, " << output.task);
          CHECK(digest(plan.value(output.node, arena).bytes()) == digest(kept.value(output.node).bytes()));
        }
      }
  }
}

}  // namespace

TEST_CASE("steps, bands, threads and shared buffers change nothing") {
  expect_same_for_every_plan(test::every_operation(), 36, 32);
}

TEST_CASE("resized maps written into their concat, residuals written over") {
  GraphBuilder g;
  test::Numbers random;
  const NodeId in = g.input(5);
  const NodeId half = g.add("half", MaxPool2dNode{square_window(3, 2)}, {in});
  const NodeId quarter = g.add("quarter", MaxPool2dNode{square_window(3, 2)}, {half});
  const NodeId small = g.add("small", ConcatNode{}, {quarter, quarter, quarter, quarter});
  const NodeId narrow = g.add("narrow", ResizeNode{.factor = 2}, {half});
  const NodeId wide = g.add("wide", ResizeNode{.factor = 4}, {small});
  const NodeId joined = g.add("joined", ConcatNode{}, {narrow, in, wide});
  const NodeId bits = g.add("bits", BinarizeNode{}, {joined});
  const auto conv = [&] {
    return BinaryConv2dNode{.window = square_window(3), .weight = g.signs({30, 3, 3, 30}, random(30 * 9 * 30))};
  };
  const NodeId first = g.add("first", conv(), {bits, joined});
  const NodeId again = g.add("again", BinarizeNode{}, {first});
  g.output({.task = "a", .node = g.add("second", conv(), {again, first})});
  expect_same_for_every_plan(g.build(4), 32, 36);
}

TEST_CASE("a runner that keeps all values gives the same maps") {
  const Model model(test::every_operation());
  const Tensor<float> input = noise({24, 32, 3});
  Runner sharing(model, {.threads = 2}), keeping(model, {.threads = 1, .keep_all = true});
  const Predictions& shared = sharing.run(input);
  const Predictions& kept = keeping.run(input);
  CHECK(sharing.plan().arena_bytes() < keeping.plan().arena_bytes());
  for (const Predictions::Task& task : shared) {
    INFO(task.name);
    const auto a = task.map.span();
    const auto b = kept[task.name].span();
    CHECK(std::equal(a.begin(), a.end(), b.begin(), b.end()));
  }
}

TEST_CASE("a node fed with the recorded inputs gives the recorded value") {
  const Model model(test::every_operation());
  Runner runner(model, {.keep_all = true});
  runner.run(noise({16, 24, 3}));
  const auto copy = [&](NodeId id) {
    const ValueRef ref = runner.value(id);
    if (ref.type == ValueType::bits) return Value(BitView<const std::uint32_t>(ref.bits()));
    return Value(TensorView<const float>(ref.floats()));
  };
  for (NodeId id = 1; id < model.graph().nodes().size(); ++id) {
    std::vector<Value> inputs;
    for (const NodeId input : model.graph().nodes()[id].inputs) inputs.push_back(copy(input));
    const Value value = runner.run_node(id, inputs);
    INFO(label(id, model.graph().nodes()[id]));
    CHECK(digest(value.ref().bytes()) == digest(runner.value(id).bytes()));
  }
  CHECK_THROWS_AS((void)runner.run_node(1, {}), Error);
  CHECK_THROWS_AS((void)runner.run_node(0, {}), Error);
  const std::vector<Value> wrong_type{Value(ValueType::bits, {8, 8, 3})};
  CHECK_THROWS_AS((void)runner.run_node(1, wrong_type), Error);
}

TEST_CASE("no allocation after the first run of a size") {
  const Model model(test::every_operation());
  Runner runner(model, {.threads = 2});
  const Tensor<float> large = noise({32, 24, 3}), small = noise({16, 16, 3});
  const Image photo = test::noise_photo(32, 24);
  runner.run(large);
  runner.run(small);
  const std::size_t before = test::allocations;
  runner.run(large);
  runner.run(small);
  runner.run(photo);
  CHECK(test::allocations == before);
}

TEST_CASE("values can be read after a run, and not after anything else") {
  static_assert(!std::is_copy_constructible_v<Runner> && std::is_move_constructible_v<Runner>);
  const Model model(test::small_network());
  const NodeId output = model.outputs()[0].node;
  Runner runner(model);
  CHECK(test::holds(test::error_of([&] { (void)runner.value(output); }), {"no run"}));
  const auto map = runner.run(noise({16, 16, 3})).begin()->map.span();
  const TensorView<float> value = runner.value(output).floats();
  CHECK(std::equal(map.begin(), map.end(), value.data));
  (void)runner.plan_for(64, 64);  // whose maps would be larger than the memory behind them
  CHECK(test::holds(test::error_of([&] { (void)runner.value(output); }), {"no run"}));
  runner.run(noise({16, 16, 3}));
  CHECK_THROWS_AS(runner.run(noise({17, 16, 3})), Error);
  CHECK_THROWS_AS((void)runner.value(output), Error);
  Runner moved = std::move(runner);
  moved.run(noise({16, 16, 3}));
  CHECK_NOTHROW((void)moved.value(output));
}

TEST_CASE("an epilogue that overflows is an error that names its node") {
  GraphBuilder g;
  const NodeId bits = g.add("sign", BinarizeNode{}, {g.input(2)});
  const std::vector<float> alpha{3e38F}, signs{1.0F, 1.0F};
  const NodeId body = g.add(
      "body", BinaryConv2dNode{.weight = g.signs({1, 1, 1, 2}, signs), .output = BinaryOutput::bits, .alpha = g.floats({1}, alpha)},
      {bits});
  g.output({.task = "bits", .node = body});
  const Model model(g.build());
  CHECK(test::holds(test::error_of([&] { Runner runner(model); }), {"(binary_conv2d body)", "inf"}));
}

TEST_CASE("a map can be taken out of predictions that nobody keeps") {
  const Model model(test::small_network());
  const std::string task = model.outputs()[0].task;
  const auto& map = model.run(noise({16, 16, 3}))[task];
  const Predictions kept = model.run(noise({16, 16, 3}));
  CHECK(std::equal(map.span().begin(), map.span().end(), kept[task].span().begin(), kept[task].span().end()));
  CHECK_THROWS_AS((void)model.run(noise({16, 16, 3}))["none"], Error);
}

TEST_CASE("the maps count for the limit") {
  GraphBuilder g;
  const NodeId input = g.input(1);
  g.output({.task = "large", .node = g.add("large", ResizeNode{.mode = ResizeMode::nearest, .factor = 256}, {input})});
  Runner runner(Model(g.build()), {.limits = {.max_bytes = 1 << 20}});
  CHECK(test::holds(test::error_of([&] { runner.run(noise({4, 4, 1})); }), {"too much memory"}));
}

TEST_CASE("sizes that are no multiple of the stride are refused") {
  const Model model(test::every_operation());
  const std::string message = test::error_of([&] { (void)model.run(noise({18, 16, 3})); });
  CHECK(test::holds(message, {"multiples of the stride", "18x16", "4"}));
  CHECK_THROWS_AS((void)model.run(noise({16, 16, 4})), Error);
  CHECK_THROWS_AS((void)model.run(Tensor<float>()), Error);
  CHECK_THROWS_AS((void)model.run(Image({16, 16, 1})), Error);
}

TEST_CASE("limits are checked before anything is allocated") {
  const Model model(test::small_network());
  Runner frugal(model, {.limits = {.max_bytes = 1 << 20}});
  CHECK_NOTHROW(frugal.run(noise({32, 32, 3})));
  const std::size_t before = test::allocations;
  CHECK_THROWS_AS(frugal.plan_for(1 << 12, 1 << 12), Error);
  CHECK(test::allocations - before < 1000);
  Runner lazy(model, {.limits = {.max_macs = 1000}});
  CHECK(test::holds(test::error_of([&] { lazy.run(noise({32, 32, 3})); }), {"multiply-accumulates", "1000"}));
  CHECK_THROWS_AS(frugal.plan_for(std::size_t{1} << 40, 2), Error);
}
