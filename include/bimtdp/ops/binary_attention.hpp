// SPDX-License-Identifier: Apache-2.0
// Binarized attention between tasks, eq. (2) and (3) of "Efficient Multitask Dense Predictor via Binarization" (CVPR 2024):
//   A_k = bool(W_k * F_k),  F_o,k = sign[ F_k + sum over t != k of A_k . (W_t * F_t) ],  bool(x) = (x >= 0).
// Row by row: a source's message is computed once and serves all targets.
#pragma once

#include <bimtdp/ops/binary_conv2d.hpp>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>
#include <vector>

namespace bimtdp::ops {

enum class GateSource : std::uint8_t { target, source };
enum class MessageWeights : std::uint8_t { per_source, pairwise };
enum class Identity : std::uint8_t { binary, real };  ///< F_k as bits, or as the floats whose signs they are

/// One convolution from `channels` to `channels`; weights as in BinaryConv2dParameters.
struct AttentionConv {
  std::span<const std::uint64_t> weights{};
  std::span<const float> alpha{};
  std::span<const float> scale{};
  std::span<const float> bias{};
};

struct BinaryAttentionParameters {
  std::size_t channels = 0;                ///< of every source
  std::size_t sources = 0;                 ///< A
  std::span<const std::size_t> targets{};  ///< source index of each of the T targets
  GateSource gate_source = GateSource::target;
  MessageWeights message_weights = MessageWeights::per_source;
  Identity identity = Identity::binary;
  bool outer_sign = true;
  Window window{};                            ///< stride and dilation 1, output as large as the input
  std::span<const AttentionConv> gates{};     ///< target: T; source + per_source: A; source + pairwise: T*(A-1), target-major
  std::span<const AttentionConv> messages{};  ///< per_source: A; pairwise: T*(A-1), target-major
};

inline constexpr std::size_t max_attention_sources = 64;  // those that are ready are bits of a word

/// Throws Error unless sources, targets, convolutions and window belong together; their weights are not looked at.
inline void check_attention(const BinaryAttentionParameters& p, std::string_view where) {
  demand(p.sources >= 1 && p.sources <= max_attention_sources, where, "sources (got ", p.sources, ", expected 1 to ",
         max_attention_sources, ")");
  demand(!p.targets.empty() && p.targets.size() <= p.sources, where, "targets (got ", p.targets.size(),
         ", expected at least 1 and at most ", p.sources, " sources)");
  for (const std::size_t t : p.targets)
    demand(t < p.sources, where, "targets (got source ", t, ", expected below ", p.sources, ")");
  const std::size_t messages = p.message_weights == MessageWeights::per_source ? p.sources : p.targets.size() * (p.sources - 1);
  check_equal(p.gates.size(), p.gate_source == GateSource::target ? p.targets.size() : messages, where, "number of gates");
  check_equal(p.messages.size(), messages, where, "number of messages");
  BinaryCounts::check_geometry(p.window, 1, p.channels, p.channels, where);
  const Window& w = p.window;
  demand(w.stride[0] == 1 && w.stride[1] == 1 && w.dilation[0] == 1 && w.dilation[1] == 1, where, "stride and dilation must be 1");
  const Padding& side = w.padding;
  for (const auto& [padded, kernel] :
       {std::pair{side.top + side.bottom, w.kernel[0]}, std::pair{side.left + side.right, w.kernel[1]}})
    check_equal(padded, kernel - 1, where, "padding must keep the size: sum of both sides");
}

class BinaryAttention {
 public:
  using Bits = BitView<const std::uint32_t>;
  using Floats = TensorView<const float>;

  /// A message (and its source gate) that no target uses is not looked at.
  BinaryAttention(const kernels::KernelTable& kernels, const BinaryAttentionParameters& p)
      : kernels_(&kernels),
        channels_(p.channels),
        sources_(p.sources),
        targets_(p.targets.begin(), p.targets.end()),
        gate_source_(p.gate_source),
        weights_(p.message_weights),
        identity_(p.identity),
        outer_sign_(p.outer_sign),
        window_(p.window) {
    check_attention(p, where);
    gates_.resize(p.gates.size());
    messages_.resize(p.messages.size());
    for (std::size_t k = 0; k < targets_.size(); ++k) {
      if (gate_source_ == GateSource::target && sources_ > 1) prepare(gates_[k], p.gates[k], BinaryOutput::bits);
      for_each_message(k, [&](std::size_t, std::size_t index) {
        prepare(messages_[index], p.messages[index], BinaryOutput::floats);
        if (gate_source_ == GateSource::source) prepare(gates_[index], p.gates[index], BinaryOutput::bits);
      });
    }
  }

  /// height x width x T*channels.
  [[nodiscard]] Shape output_shape(const Shape& source) const {
    static_cast<void>(stretches(source));
    return {source.height, source.width, targets_.size() * channels_};
  }
  [[nodiscard]] std::size_t scratch_bytes(const Shape& source) const { return need(stretches(source)); }

  /// `sources`: A maps; `identities`: T maps when the identity is real, else empty. The first overload belongs to outer_sign.
  void run(std::span<const Bits> sources, std::span<const Floats> identities, const BitView<std::uint32_t>& out,
           const Workspace& workspace) const {
    check_equal(out.shape, output_shape(check_inputs(sources, identities)), where, "output shape");
    run_rows(sources, identities, 0, out, workspace);
  }
  void run(std::span<const Bits> sources, std::span<const Floats> identities, const TensorView<float>& out,
           const Workspace& workspace) const {
    check_equal(out.shape, output_shape(check_inputs(sources, identities)), where, "output shape");
    run_rows(sources, identities, 0, out, workspace);
  }

  /// Output rows first_row, first_row + 1, ... out.shape.height of them: `out` holds these rows alone, the inputs are whole maps.
  void run_rows(std::span<const Bits> sources, std::span<const Floats> identities, std::size_t first_row,
                const BitView<std::uint32_t>& out, const Workspace& workspace) const {
    demand(outer_sign_, where, "bit output without the outer sign");
    for_rows(sources, identities, first_row, out.shape, workspace,
             [&](std::size_t k, std::size_t y, const kernels::AttentionRow& row) {
               std::uint32_t* to = out.pixel(y, 0);
               if (k == 0) std::fill_n(to, out.shape.width * out.words(), 0U);
               kernels_->attend_bits(row, out.shape.width, channels_, k * channels_, to, out.words());
             });
  }
  void run_rows(std::span<const Bits> sources, std::span<const Floats> identities, std::size_t first_row,
                const TensorView<float>& out, const Workspace& workspace) const {
    demand(!outer_sign_, where, "float output with the outer sign");
    for_rows(sources, identities, first_row, out.shape, workspace,
             [&](std::size_t k, std::size_t y, const kernels::AttentionRow& row) {
               kernels_->attend(row, out.shape.width, channels_, out.pixel(y, 0) + k * channels_, out.shape.channels);
             });
  }

 private:
  using Conv = std::optional<BinaryConv2d>;
  static constexpr std::string_view where = "binary_attention";

  /// The buffers of one row.
  struct Row {
    float* messages;  ///< per_source: of all sources, pairwise: of one target
    std::uint32_t* gate;
    Scratch conv;
  };
  using SourceRows = std::array<PackedRows, max_attention_sources>;  ///< every source is packed once for all its convolutions

  void prepare(Conv& conv, const AttentionConv& c, BinaryOutput output) const {
    if (!conv)
      conv.emplace(*kernels_, BinaryConv2dParameters{window_, 1, channels_, channels_, c.weights, {c.alpha, c.scale, c.bias, {}}},
                   output);
  }

  /// visit(source, index of its message for target k), sources in order, without the target itself.
  template <class Visit>
  void for_each_message(std::size_t k, Visit&& visit) const {
    std::size_t next = k * (sources_ - 1);
    for (std::size_t s = 0; s < sources_; ++s) {
      if (s == targets_[k]) continue;
      visit(s, weights_ == MessageWeights::per_source ? s : next++);
    }
  }

  [[nodiscard]] WindowStretches stretches(const Shape& source) const {
    check_equal(source.channels, channels_, where, "channels");
    demand(source.elements() > 0, where, "empty input ", source);
    return {source, window_, where};
  }
  [[nodiscard]] const BinaryConv2d* any_conv() const {
    for (const Conv& message : messages_)
      if (message) return &*message;
    return nullptr;
  }
  [[nodiscard]] std::size_t kept_messages() const { return weights_ == MessageWeights::per_source ? sources_ : sources_ - 1; }
  [[nodiscard]] std::size_t need(const WindowStretches& stretches) const {
    const std::size_t width = stretches.columns().output;
    const BinaryConv2d* conv = any_conv();
    // The convolutions differ in values alone.
    const std::size_t conv_bytes =
        conv ? sources_ * conv->counts().row_bytes(stretches) + conv->counts().count_bytes(stretches) : 0;
    return kept_messages() * scratch_size<float>(width * channels_) +
           scratch_size<std::uint32_t>(width * words_for<std::uint32_t>(channels_)) + conv_bytes;
  }
  [[nodiscard]] Row take_row(Scratch& scratch, std::size_t width) const noexcept {
    float* messages = scratch.take<float>(kept_messages() * message_stride(width));
    std::uint32_t* gate = scratch.take<std::uint32_t>(width * words_for<std::uint32_t>(channels_));
    return {messages, gate, scratch};
  }
  [[nodiscard]] std::size_t message_stride(std::size_t width) const noexcept {
    return scratch_size<float>(width * channels_) / sizeof(float);
  }

  /// finish(target, row of `out`, what makes it) for every target of every row.
  template <class Finish>
  void for_rows(std::span<const Bits> sources, std::span<const Floats> identities, std::size_t first_row, const Shape& out,
                const Workspace& workspace, Finish&& finish) const {
    const Shape source = check_inputs(sources, identities);
    const WindowStretches stretches = this->stretches(source);
    check_rows(out, first_row, output_shape(source), where);
    check_workspace(workspace, need(stretches), where);
    demand(workspace.kernels == kernels_, where, "weights were packed for other kernels");
    Scratch scratch(workspace.scratch);
    SourceRows rows;
    if (const BinaryConv2d* conv = any_conv())
      for (std::size_t s = 0; s < sources_; ++s) rows[s] = conv->counts().rows(sources[s].data, stretches, scratch);
    const Row row = take_row(scratch, out.width);
    for (std::size_t y = 0; y < out.height; ++y) {
      const std::size_t at = first_row + y;
      std::uint64_t ready = 0;  // per_source: messages of this row that are in their buffer
      for (std::size_t k = 0; k < targets_.size(); ++k) {
        std::array<const float*, max_attention_sources> messages{};
        kernels::AttentionRow attention{messages.data()};
        attention.message_count = find_messages(k, rows, out.width, at, row, ready, messages.data());
        if (gate_source_ == GateSource::target && attention.message_count > 0) {
          gates_[k]->bit_row(rows[targets_[k]], at, row.conv, row.gate);
          attention.gate = row.gate;
        }
        if (identity_ == Identity::real)
          attention.identity = identities[k].pixel(at, 0);
        else
          attention.identity_bits = sources[targets_[k]].pixel(at, 0);
        finish(k, y, attention);
      }
    }
  }

  [[nodiscard]] Shape check_inputs(std::span<const Bits> sources, std::span<const Floats> identities) const {
    check_equal(sources.size(), sources_, where, "sources");
    check_equal(identities.size(), identity_ == Identity::real ? targets_.size() : 0, where, "real identities");
    for (const Bits& source : sources) {
      check_equal(source.shape, sources[0].shape, where, "source shape");
      debug_check_tail(source, where);
    }
    for (const Floats& identity : identities) check_equal(identity.shape, sources[0].shape, where, "identity shape");
    return sources[0].shape;
  }

  /// The messages to target k in row y, in order; gated where the gate is theirs. Returns their number.
  std::size_t find_messages(std::size_t k, SourceRows& rows, std::size_t width, std::size_t y, const Row& row, std::uint64_t& ready,
                            const float** messages) const noexcept {
    std::size_t count = 0;
    for_each_message(k, [&](std::size_t s, std::size_t index) {
      const bool keep = weights_ == MessageWeights::per_source;
      float* message = row.messages + (keep ? s : count) * message_stride(width);
      messages[count++] = message;
      if (keep && (ready >> s & 1U) != 0) return;
      messages_[index]->float_row(rows[s], y, row.conv, nullptr, message);
      if (gate_source_ == GateSource::source) {
        gates_[index]->bit_row(rows[s], y, row.conv, row.gate);
        kernels_->gate(row.gate, width, channels_, message);
      }
      ready |= std::uint64_t{1} << s;
    });
    return count;
  }

  const kernels::KernelTable* kernels_;
  std::size_t channels_, sources_;
  std::vector<std::size_t> targets_;
  GateSource gate_source_;
  MessageWeights weights_;
  Identity identity_;
  bool outer_sign_;
  Window window_;
  std::vector<Conv> gates_, messages_;  // empty where no target uses them
};

}  // namespace bimtdp::ops
