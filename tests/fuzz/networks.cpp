// SPDX-License-Identifier: Apache-2.0
// Fuzzes planning and running: the bytes decide a valid network and its input; all tables, thread counts and bands must agree with
// the reference kernels bit for bit. Prints the network of a difference.
#include "../random_network.hpp"

#include <bimtdp/run/describe.hpp>

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <span>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  test::Choices choices(std::span(data, size));
  const test::RandomNetwork network = test::random_network(choices);
  const auto difference = test::first_difference(network);
  if (!difference) return 0;
  const bimtdp::Shape& in = network.input.shape();
  const bimtdp::Program program(network.graph);
  std::cerr << *difference << '\n' << bimtdp::describe(network.graph, bimtdp::Plan(program, in.height, in.width));
  std::abort();
}
