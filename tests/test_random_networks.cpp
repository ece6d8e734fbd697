// SPDX-License-Identifier: Apache-2.0
// Random networks of all operations give the same bits on every table, thread count and band, and come back from a file as they
// were. tests/fuzz/networks.cpp looks at many more.
#include <bimtdp/bimtdp.hpp>

#include "catch.hpp"
#include "model_file.hpp"
#include "random_network.hpp"

#include <cstdint>
#include <set>
#include <string>
#include <vector>

using namespace bimtdp;

namespace {

test::RandomNetwork network_of(std::uint32_t seed) {
  std::vector<std::uint8_t> bytes(64);
  std::uint64_t state = seed;
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(splitmix64(state));
  test::Choices choices(bytes);
  return test::random_network(choices);
}

}  // namespace

TEST_CASE("random networks run alike everywhere") {
  std::set<std::string> ops;
  for (std::uint32_t seed = 0; seed < 150; ++seed) {
    const test::RandomNetwork network = network_of(seed);
    for (const Node& node : network.graph.nodes()) ops.emplace(op_name(node.op));
    INFO("seed " << seed);
    CHECK(test::first_difference(network).value_or("") == "");
  }
  CHECK(ops.size() == std::variant_size_v<NodeOp>);
}

TEST_CASE("random networks come back from a file as they were") {
  for (std::uint32_t seed = 0; seed < 60; ++seed) {
    INFO("seed " << seed);
    const test::RandomNetwork network = network_of(seed);
    if (network.graph.values()[0].channels != 3) continue;  // a self-test's photo has three
    const Model model = Model::load(test::model_file(network.graph).bytes());
    CHECK(model.verify_self_test().ok());
    CHECK(model.run(network.input).begin()->map.shape() == Model(network.graph).run(network.input).begin()->map.shape());
  }
}
