// SPDX-License-Identifier: Apache-2.0
// Builds a network by hand and runs it; loading a file that is none gives an Error.
#include <bimtdp/bimtdp.hpp>

#include <iostream>
#include <string>
#include <vector>

std::string version_of_second_unit();

int main() {
  using namespace bimtdp;
  GraphBuilder g;
  const NodeId image = g.input(3);
  const NodeId bits = g.add("sign", BinarizeNode{}, {image});
  const std::vector<float> ones(4 * 9 * 3, 1.0f);
  const NodeId maps = g.add("head", BinaryConv2dNode{.window = square_window(3), .weight = g.signs({4, 3, 3, 3}, ones)}, {bits});
  g.output({.task = "counts", .node = maps});
  const Model model(g.build());
  Image white({5, 7, 3});
  for (std::uint8_t& value : white.span()) value = 255;
  const Predictions predictions = model.run(white);
  if (predictions["counts"](2, 3, 0) != 27.0f || predictions["counts"](0, 0, 3) != 12.0f) return 1;  // taps inside the photo x 3
  if (version_of_second_unit() != version) return 1;
  try {
    static_cast<void>(Model::load("CMakeCache.txt"));
    return 1;
  } catch (const Error& error) {
    std::cout << error.what() << '\n';
  }
}
