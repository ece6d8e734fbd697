// SPDX-License-Identifier: Apache-2.0
// The source of a network.
#pragma once

#include <bimtdp/graph/nodes/contract.hpp>

namespace bimtdp {

/// The network's only source: a normalised float map. Node 0 of every graph.
struct InputNode {
  static constexpr std::string_view op = "input";
  std::size_t channels = 3;
};

template <>
struct NodeTraits<InputNode> : RowwiseNode {
  using Op = std::monostate;
  static constexpr bool by_rows = false;
  static void fields(auto& a, auto& n) { a.integer("channels", n.channels); }
  static ValueInfo validate(const InputNode& n, const NodeCheck& c) {
    c.extent("channels", n.channels);
    return {ValueType::floats, n.channels};
  }
  static Op prepare(const InputNode&, const NodePreparation&) { return {}; }
  static void run(const Op&, const NodeRows&) {}  // whoever starts a run writes it
};

}  // namespace bimtdp
