// SPDX-License-Identifier: Apache-2.0
// Random networks of all operations give the same bits on every table, thread count and band, and come back from a file as they
// were. tests/fuzz/networks.cpp looks at many more.
#include <bimtdp/bimtdp.hpp>

#include "catch.hpp"
#include "model_file.hpp"
#include "reference_run.hpp"

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

using namespace bimtdp;

TEST_CASE("random networks run alike everywhere") {
  std::set<std::string_view> ops;
  for (std::uint64_t seed = 0; seed < 150; ++seed) {
    const test::RandomNetwork network = test::random_network(seed);
    for (const Node& node : network.graph.nodes()) ops.insert(op_name(node.op));
    INFO("seed " << seed);
    CHECK(test::first_difference(network).value_or("") == "");
  }
  CHECK(ops.size() == std::variant_size_v<NodeOp>);  // none is left out
}

TEST_CASE("random networks come back from a file as they were") {
  int seen = 0;
  for (std::uint64_t seed = 0; seed < 150; ++seed) {
    INFO("seed " << seed);
    const test::RandomNetwork network = test::random_network(seed);
    try {  // the self-test's photo has three channels and a size of its own, which not every network takes
      if (network.graph.values()[0].channels != 3) continue;
      (void)make_dataflow(network.graph, 8, 12);
    } catch (const Error&) {
      continue;
    }
    ++seen;
    const Model model = Model::load(test::model_file(network.graph).bytes());
    CHECK(model.verify_self_test().ok());
    const Predictions maps = model.run(network.input), expected = Model(network.graph).run(network.input);
    for (const Predictions::Task& task : expected) {
      const std::span<const float> a = maps[task.name].span(), b = task.map.span();
      CHECK(digest(std::as_bytes(a)) == digest(std::as_bytes(b)));
    }
  }
  CHECK(seen > 50);
}
