// SPDX-License-Identifier: Apache-2.0
// The worked plan of include/bimtdp/README.md: its code is the one below, and its table what describe() prints.
#include <bimtdp/bimtdp.hpp>

#include "catch.hpp"

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace {

std::string worked_plan() {
  // [tour]
  using namespace bimtdp;
  const std::vector<float> a(16 * 27, 0.1F), b(16 * 9 * 16, -1.0F), c(4 * 32, 1.0F);
  GraphBuilder g;
  const NodeId image = g.input(3);
  const NodeId stem = g.add("stem", Conv2dNode{.window = square_window(3, 2), .weight = g.floats({16, 3, 3, 3}, a)}, {image});
  const NodeId sign = g.add("sign", BinarizeNode{}, {stem});
  const NodeId body =
      g.add("body", BinaryConv2dNode{.window = square_window(3), .weight = g.signs({16, 3, 3, 16}, b)}, {sign, stem});
  const NodeId half = g.add("half", MaxPool2dNode{square_window(3, 2)}, {body});
  const NodeId up = g.add("up", ResizeNode{}, {half, body});
  const NodeId joined = g.add("joined", ConcatNode{}, {body, up});
  const NodeId bits = g.add("bits", BinarizeNode{}, {joined});
  const NodeId head = g.add("head", BinaryConv2dNode{.weight = g.signs({4, 1, 1, 32}, c)}, {bits});
  const NodeId maps = g.add("maps", ResizeNode{.factor = 2}, {head});
  g.output({.task = "classes", .node = maps});
  Runner runner(Model(g.build(/*stride=*/4)), {.threads = 2});
  runner.plan_for(256, 320);
  const std::string plan = runner.describe();
  // [/tour]
  return plan;
}

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

const std::string tour = text_of(BIMTDP_SOURCE_DIR "/include/bimtdp/README.md");

}  // namespace

TEST_CASE("the worked plan of the tour is what describe() prints") {
  const std::string plan = worked_plan();
  INFO(plan);
  CHECK(tour.find("```\n" + plan + "```\n") != std::string::npos);
}

TEST_CASE("the code of the tour is the one that is planned here") {
  const std::string source = text_of(BIMTDP_SOURCE_DIR "/tests/test_tour.cpp"), begin = "  // [tour]\n", end = "  // [/tour]\n";
  std::string code;
  for (std::size_t line = source.find(begin) + begin.size(); source.compare(line, end.size(), end) != 0;) {
    const std::size_t next = source.find('\n', line) + 1;
    code += source.substr(line + 2, next - line - 2);
    line = next;
  }
  INFO(code);
  CHECK(tour.find("```cpp\n" + code + "```\n") != std::string::npos);
}
