// SPDX-License-Identifier: Apache-2.0
// Channels put together and cut apart.
#pragma once

#include <bimtdp/graph/nodes/contract.hpp>
#include <bimtdp/ops/concat.hpp>

namespace bimtdp {

/// Channels of the inputs one after the other; all float or all bits.
struct ConcatNode {
  static constexpr std::string_view op = "concat";
};

template <>
struct NodeTraits<ConcatNode> : RowwiseNode {
  using Op = ops::Concat;
  static void fields(auto&, auto&) {}
  static ValueInfo validate(const ConcatNode&, const NodeCheck& c) {
    c.inputs_between(1, max_inputs);
    c.float_or_bits(0);
    std::size_t channels = 0;  // at most 64 * 2^20
    for (std::size_t i = 0; i < c.input_count(); ++i) {
      c.input_type(i, c.input(0).type);
      channels += c.input(i).channels;
    }
    return {c.input(0).type, channels};
  }
  static Op prepare(const ConcatNode&, const NodePreparation&) { return {}; }
  static void run(const Op& op, const NodeRows& r) {
    if (r.out().type == ValueType::bits) return op.run(r.bit_inputs(r.in.size()), r.out().bits(), r.workspace);
    op.run(r.float_inputs(), r.out().floats(), r.workspace);
  }
};

/// Channels begin to end-1.
struct SliceNode {
  static constexpr std::string_view op = "slice";
  std::size_t begin = 0, end = 0;
};

template <>
struct NodeTraits<SliceNode> : RowwiseNode {
  using Op = ops::Slice;
  static void fields(auto& a, auto& n) {
    a.integer("begin", n.begin);
    a.integer("end", n.end);
  }
  static ValueInfo validate(const SliceNode& n, const NodeCheck& c) {
    c.inputs_between(1, 1);
    c.float_or_bits(0);
    const std::size_t channels = c.input(0).channels;
    c.demand(n.begin < n.end && n.end <= channels, "channels (got ", n.begin, " to ", n.end, ", expected a range within ", channels,
             ")");
    return {c.input(0).type, n.end - n.begin};
  }
  static Op prepare(const SliceNode& n, const NodePreparation&) { return {n.begin, n.end}; }
  static void run(const Op& op, const NodeRows& r) {
    r.as_either([&](const auto& in, const auto& out) { op.run(in, out, r.workspace); });
  }
};

}  // namespace bimtdp
