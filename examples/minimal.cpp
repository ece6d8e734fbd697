// SPDX-License-Identifier: Apache-2.0
// minimal MODEL: the library in ten lines. A grey photo in, the size of every task's map out.
#include <bimtdp/bimtdp.hpp>

#include <iostream>

int main(int count, char** arguments) try {
  const bimtdp::Model model = bimtdp::Model::load(count > 1 ? arguments[1] : "model.safetensors");
  bimtdp::Image photo({8 * model.stride(), 8 * model.stride(), 3});  // 8-bit RGB: copy your pixels to photo.data()
  std::fill(photo.span().begin(), photo.span().end(), std::uint8_t{128});
  for (const auto& task : model.run(photo)) std::cout << task.name << ": " << task.map.shape() << '\n';
  return std::cout.flush() ? 0 : 1;
} catch (const std::exception& error) {
  std::cerr << "minimal: " << error.what() << '\n';
  return 1;
}
