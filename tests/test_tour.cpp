// SPDX-License-Identifier: Apache-2.0
// The worked plan of include/bimtdp/README.md: its network is the one below and its table what describe() prints.
#include <bimtdp/bimtdp.hpp>

#include "catch.hpp"
#include "graphs.hpp"

#include <fstream>
#include <iterator>
#include <string>

using namespace bimtdp;

namespace {

Graph tour() {
  test::Numbers random;
  const auto stem_weights = random(16 * 27), body_weights = random(16 * 9 * 16), head_weights = random(4 * 32);
  // [tour]
  GraphBuilder g;
  const NodeId image = g.input(3);
  const NodeId stem = g.add("stem", Conv2dNode{.window = square_window(3, 2), .weight = g.floats({16, 3, 3, 3}, stem_weights)}, {image});
  const NodeId sign = g.add("sign", BinarizeNode{}, {stem});
  const NodeId body = g.add("body", BinaryConv2dNode{.window = square_window(3), .weight = g.signs({16, 3, 3, 16}, body_weights)}, {sign, stem});
  const NodeId half = g.add("half", MaxPool2dNode{square_window(3, 2)}, {body});
  const NodeId up = g.add("up", ResizeNode{}, {half, body});
  const NodeId joined = g.add("joined", ConcatNode{}, {body, up});
  const NodeId bits = g.add("bits", BinarizeNode{}, {joined});
  const NodeId head = g.add("head", BinaryConv2dNode{.weight = g.signs({4, 1, 1, 32}, head_weights)}, {bits});
  const NodeId maps = g.add("maps", ResizeNode{.factor = 2}, {head});
  g.output({.task = "segmentation", .node = maps});
  // [/tour]
  return g.build(4);
}

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_CASE("the worked plan of the tour is what describe() prints") {
  Runner runner(Model(tour()), {.threads = 2});
  (void)runner.plan_for(64, 96);
  const std::string plan = runner.describe();
  INFO(plan);
  CHECK(text_of(BIMTDP_SOURCE_DIR "/include/bimtdp/README.md").find("```\n" + plan + "```\n") != std::string::npos);
}

TEST_CASE("the network of the tour is the one that is planned here") {
  std::string source = text_of(BIMTDP_SOURCE_DIR "/tests/test_tour.cpp"), code;
  const std::size_t begin = source.find("  // [tour]\n") + 12, end = source.find("  // [/tour]");
  for (std::size_t line = begin; line < end; line = source.find('\n', line) + 1)
    code += source.substr(line + 2, source.find('\n', line) + 1 - line - 2);
  INFO(code);
  CHECK(text_of(BIMTDP_SOURCE_DIR "/include/bimtdp/README.md").find("```cpp\n" + code + "```\n") != std::string::npos);
}
