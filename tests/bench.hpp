// SPDX-License-Identifier: Apache-2.0
// A place to try one node or one graph: what is said of it. For the tests of graphs' checks.
#pragma once

#include <bimtdp/graph/dataflow.hpp>
#include <bimtdp/graph/graph_builder.hpp>

#include "errors.hpp"

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace test {

using namespace bimtdp;

inline constexpr std::size_t C = 4;  // channels of the maps that nodes under test get
inline constexpr std::size_t beyond = max_extent + 1;

inline std::vector<float> ones(std::size_t count) { return std::vector<float>(count, 1.0f); }

/// A graph under construction: a float map, its signs, and what is wrong with them.
struct Bench {
  GraphBuilder g{};
  NodeId floats = g.input(C);
  NodeId bits = g.add("bits", BinarizeNode{}, {floats});
  NodeId narrow = g.add("narrow", SliceNode{0, C - 1}, {floats});
  NodeId narrow_bits = g.add("narrow_bits", SliceNode{0, C - 1}, {bits});
  NodeId low = g.add("low", AdaptiveAvgPool2dNode{{7, 8}}, {floats});
  NodeId pixel = g.add("pixel", AdaptiveAvgPool2dNode{{1, 1}}, {floats});
  NodeId thin = g.add("thin", AdaptiveAvgPool2dNode{{8, 7}}, {floats});

  WeightName channel(std::size_t count = C) { return g.floats({count}, ones(count)); }
  WeightName conv() { return g.floats({C, 1, 1, C}, ones(C * C)); }
  WeightName signs() { return g.signs({C, 1, 1, C}, ones(C * C)); }
  AttentionConvSpec spec() { return {.weight = signs()}; }
  BinaryAttentionNode attention(std::size_t sources, Identity identity = Identity::binary) {
    BinaryAttentionNode node{.targets = {0}, .identity = identity, .kernel = {1, 1}, .padding = {}};
    node.gates = {spec()};
    for (std::size_t i = 0; i < sources; ++i) node.messages.push_back(spec());
    return node;
  }
};

/// What is said of a node with these inputs, at 8x8.
inline std::string error_with(Bench& bench, NodeOp op, std::vector<NodeId> inputs) {
  return error_of([&] {
    bench.g.output({.task = "out", .node = bench.g.add("node", std::move(op), std::move(inputs))});
    (void)make_dataflow(bench.g.build(), 8, 8);
  });
}

/// What is said of a graph behind an input.
inline std::string graph_error(const std::function<void(GraphBuilder&, NodeId)>& change, std::size_t channels = 1,
                               std::size_t stride = 1) {
  return error_of([&] {
    GraphBuilder g;
    const NodeId x = g.input(channels);
    change(g, x);
    (void)g.build(stride);
  });
}

}  // namespace test
