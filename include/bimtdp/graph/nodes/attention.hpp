// SPDX-License-Identifier: Apache-2.0
// Binarized attention between tasks.
#pragma once

#include <bimtdp/graph/nodes/contract.hpp>
#include <bimtdp/ops/binary_attention.hpp>

#include <algorithm>
#include <vector>

namespace bimtdp {

using ops::GateSource;
using ops::Identity;
using ops::MessageWeights;

/// Binarized attention, Bi-MTDP eq. (2) and (3). Inputs: bits of the A sources[, real identities of the T targets].
/// gates: target -> T convolutions; source + per_source -> A; source + pairwise -> T*(A-1), target-major.
/// messages: per_source -> A; pairwise -> T*(A-1), target-major, sources in order without the target itself.
struct BinaryAttentionNode {
  static constexpr std::string_view op = "binary_attention";
  std::vector<std::size_t> targets{};  ///< the source index of each target
  GateSource gate_source = GateSource::target;
  MessageWeights message_weights = MessageWeights::per_source;
  Identity identity = Identity::binary;
  bool outer_sign = true;
  std::array<std::size_t, 2> kernel{3, 3};
  Padding padding{1, 1, 1, 1};
  std::vector<AttentionConvSpec> gates{}, messages{};
};

inline constexpr Names<GateSource, 2> gate_source_names{{{"target", GateSource::target}, {"source", GateSource::source}}};
inline constexpr Names<MessageWeights, 2> message_weights_names{
    {{"per_source", MessageWeights::per_source}, {"pairwise", MessageWeights::pairwise}}};
inline constexpr Names<Identity, 2> identity_names{{{"binary", Identity::binary}, {"real", Identity::real}}};

template <>
struct NodeTraits<BinaryAttentionNode> : OwnMemory {
  using Op = ops::BinaryAttention;
  static constexpr bool by_rows = true;
  static constexpr WorkUnit work_unit = WorkUnit::bit_pairs;
  static void fields(auto& a, auto& n) {
    a.indices("targets", n.targets);
    a.choice("gate_source", n.gate_source, gate_source_names);
    a.choice("message_weights", n.message_weights, message_weights_names);
    a.choice("identity", n.identity, identity_names);
    a.boolean("outer_sign", n.outer_sign);
    a.pair("kernel", n.kernel);
    a.padding("padding", n.padding);
    a.convolutions("gates", n.gates);
    a.convolutions("messages", n.messages);
  }
  static ValueInfo validate(const BinaryAttentionNode& n, const NodeCheck& c) {
    const std::size_t identities = n.identity == Identity::real ? n.targets.size() : 0;
    c.inputs_between(identities + 1, identities + 16);
    const std::size_t channels = c.input(0).channels, sources = c.input_count() - identities;
    for (std::size_t i = 0; i < c.input_count(); ++i) {
      c.input_type(i, i < sources ? ValueType::bits : ValueType::floats);
      c.input_channels(i, channels);
    }
    const Convolutions none(n.gates.size()), neither(n.messages.size());
    ops::check_attention(parameters(n, channels, c.input_count(), none, neither), c.where());
    for (const auto* list : {&n.gates, &n.messages})
      for (const AttentionConvSpec& conv : *list) {
        c.signs("weight", conv.weight, channels, n.kernel, channels);
        c.count_idle_lanes(conv.weight, 1, channels, channels);
        c.epilogue(conv.alpha, conv.scale, conv.bias, channels);
      }
    return {n.outer_sign ? ValueType::bits : ValueType::floats, channels * n.targets.size()};
  }
  static Shape shape(const BinaryAttentionNode&, const NodeShapes& s) { return s.all_same_size(); }
  static RowUse row_use(const BinaryAttentionNode&, std::size_t, std::span<const Shape>) { return RowUse::whole; }
  /// The value has T*C channels, and each convolution makes C.
  static Checked work(const BinaryAttentionNode& n, std::span<const Shape> in, const Shape&) {
    const std::size_t convolutions = n.gates.size() + n.messages.size();
    return Checked(n.kernel[0]) * n.kernel[1] * in[0].channels * ((convolutions + n.targets.size() - 1) / n.targets.size());
  }
  static Op prepare(const BinaryAttentionNode& n, const NodePreparation& p) {
    const Convolutions gates = convolutions(n.gates, p), messages = convolutions(n.messages, p);
    return {p.kernels, parameters(n, p.in, p.inputs, gates, messages)};
  }
  static std::size_t scratch_bytes(const Op& op, std::span<const Shape> in, const Shape&) { return op.scratch_bytes(in[0]); }
  static void run(const Op& op, const NodeRows& r) {
    const auto first_float = std::find_if(r.in.begin(), r.in.end(), [](const ValueRef& v) { return v.type != ValueType::bits; });
    const auto sources = static_cast<std::size_t>(first_float - r.in.begin());
    const NodeRows::BitInputs bits = r.bit_inputs(sources);
    const NodeRows::FloatInputs identities = r.float_inputs(sources);
    if (r.out().type == ValueType::bits) return op.run_rows(bits, identities, r.first_row, r.out().bits(), r.workspace);
    op.run_rows(bits, identities, r.first_row, r.out().floats(), r.workspace);
  }

 private:
  using Convolutions = std::vector<ops::AttentionConv>;

  static Convolutions convolutions(const std::vector<AttentionConvSpec>& list, const NodePreparation& p) {
    Convolutions result;
    for (const AttentionConvSpec& c : list)
      result.push_back({p.weights.words(c.weight), p.floats(c.alpha), p.floats(c.scale), p.floats(c.bias)});
    return result;
  }
  static ops::BinaryAttentionParameters parameters(const BinaryAttentionNode& n, std::size_t channels, std::size_t inputs,
                                                   const Convolutions& gates, const Convolutions& messages) {
    return {.channels = channels,
            .sources = inputs - (n.identity == Identity::real ? n.targets.size() : 0),
            .targets = n.targets,
            .gate_source = n.gate_source,
            .message_weights = n.message_weights,
            .identity = n.identity,
            .outer_sign = n.outer_sign,
            .window = {.kernel = n.kernel, .padding = n.padding},
            .gates = gates,
            .messages = messages};
  }
};

}  // namespace bimtdp
