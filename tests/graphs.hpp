// SPDX-License-Identifier: Apache-2.0
// Small networks built by hand, for the tests of graph/ and io/. The first is also the documentation's example.
#pragma once

#include <bimtdp/graph/graph_builder.hpp>

#include <cstdint>
#include <vector>

namespace test {

using namespace bimtdp;

/// Numbers that look random and are the same everywhere, in -1..1, multiples of 1/512.
class Numbers {
 public:
  explicit Numbers(std::uint32_t seed = 1) : state_(seed) {}
  float next() {
    state_ = state_ * 1664525u + 1013904223u;
    return static_cast<float>(static_cast<int>(state_ >> 22) - 512) / 512.0f;
  }
  std::vector<float> operator()(std::size_t count, float scale = 1.0f, float shift = 0.0f) {
    std::vector<float> values(count);
    for (float& value : values) value = next() * scale + shift;
    return values;
  }

 private:
  std::uint32_t state_;
};

/// A network by hand: float stem, two binary convolutions, a head per task.
Graph small_network();

/// A network with every operation and nearly every option; 3 channels in, stride 4.
Graph every_operation();

/// A photo of noise.
Tensor<std::uint8_t> noise_photo(std::size_t height, std::size_t width, std::uint32_t seed = 3);

}  // namespace test
