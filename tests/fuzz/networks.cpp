// SPDX-License-Identifier: Apache-2.0
// Fuzzes planning and running: the bytes decide a valid network, its input and a way to run it, whose values must agree with those
// of the reference kernels bit for bit. Prints the network of a difference.
#include "../reference_run.hpp"

#include <bimtdp/kernels/select.hpp>
#include <bimtdp/run/describe.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <span>

namespace {

constexpr std::uint64_t max_work = std::uint64_t{1} << 16;  // of a node: more of the same pixels and channels shows nothing new

/// Threads are slow to make: one team a size for the whole process.
bimtdp::Team& team_of(std::size_t threads) {
  static std::array<bimtdp::Team, 3> teams{bimtdp::Team(1), bimtdp::Team(2), bimtdp::Team(3)};
  return teams[threads - 1];
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  test::Choices choices(std::span(data, size));
  const auto tables = bimtdp::kernels::tables();
  test::RunKind kind{.table = tables[choices.below(tables.size())], .band_bytes = std::size_t{1} << choices.below(15)};
  if (choices.one_in(8)) kind.threads = choices.between(2, 3);
  kind.outputs_apart = choices.one_in(2);
  const bool every_value = choices.one_in(2);
  const test::RandomNetwork network = test::random_network(choices, max_work);
  const test::ReferenceRun reference(network);
  const auto difference =
      every_value ? reference.difference_of_values(*kind.table, 1) : reference.difference_of_outputs(kind, team_of(kind.threads));
  if (!difference) return 0;
  const bimtdp::Shape& in = network.input.shape();
  const bimtdp::Program program(network.graph);
  std::cerr << *difference << '\n' << bimtdp::describe(network.graph, bimtdp::Plan(program, in.height, in.width));
  std::abort();
}
