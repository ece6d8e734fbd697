// SPDX-License-Identifier: Apache-2.0
// Random networks of all operations. Bytes decide everything, so that a fuzzer can steer and a seed repeats a network.
#pragma once

#include <bimtdp/core/tensor.hpp>
#include <bimtdp/graph/graph.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace test {

/// Decisions from bytes; when they are used up, from a sequence that only their number decides.
class Choices {
 public:
  explicit Choices(std::span<const std::uint8_t> bytes) : bytes_(bytes), state_(bytes.size()) {}

  std::uint8_t byte();
  /// 0 to limit - 1, limit at most 2^16.
  std::size_t below(std::size_t limit);
  std::size_t between(std::size_t least, std::size_t most) { return least + below(most - least + 1); }
  bool one_in(std::size_t n) { return below(n) == 0; }
  /// Mostly small multiples of 1/512; now and then 0, -0, denormal, huge, infinite or no number, where `special` allows it. One
  /// byte decides them all, so that bytes remain for what matters more.
  std::vector<float> numbers(std::size_t count, bool special = false);

 private:
  std::span<const std::uint8_t> bytes_;
  std::uint64_t state_;
};

struct RandomNetwork {
  bimtdp::Graph graph;
  bimtdp::Tensor<float> input;
};

/// A network that is valid, and an input that it takes. No node has more than `max_work` multiply-accumulates or the like.
RandomNetwork random_network(Choices& choices, std::uint64_t max_work = std::uint64_t{1} << 26);

/// The network of 64 bytes that follow from a seed.
RandomNetwork random_network(std::uint64_t seed);

}  // namespace test
