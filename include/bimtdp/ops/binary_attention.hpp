// SPDX-License-Identifier: Apache-2.0
// Binarized attention between tasks, eq. (2) and (3) of "Efficient Multitask Dense Predictor via Binarization" (CVPR 2024):
//   A_k = bool(W_k * F_k),  F_o,k = sign[ F_k + sum over t != k of A_k . (W_t * F_t) ].
#pragma once

#include <bimtdp/ops/binary_conv2d.hpp>

#include <vector>

namespace bimtdp::ops {

enum class GateSource : std::uint8_t { target, source };
enum class MessageWeights : std::uint8_t { per_source, pairwise };
enum class Identity : std::uint8_t { binary, real };

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
  Window window{};                           ///< stride and dilation 1, output as large as the input
  std::span<const AttentionConv> gates{};    ///< target: T; source + per_source: A; source + pairwise: T*(A-1), target-major
  std::span<const AttentionConv> messages{};  ///< per_source: A; pairwise: T*(A-1), target-major
};

class BinaryAttention {
 public:
  BinaryAttention(const kernels::KernelTable& kernels, const BinaryAttentionParameters& parameters);

  /// height x width x T*channels.
  [[nodiscard]] Shape output_shape(const Shape& source) const;
  [[nodiscard]] std::size_t scratch_bytes(const Shape& source, std::size_t threads) const;
  /// `sources`: A maps; `identities`: T maps when identity is real, else empty. The first overload belongs to outer_sign.
  void run(std::span<const BitView<const std::uint32_t>> sources, std::span<const TensorView<const float>> identities,
           const BitView<std::uint32_t>& out, const Execution& execution) const;
  void run(std::span<const BitView<const std::uint32_t>> sources, std::span<const TensorView<const float>> identities,
           const TensorView<float>& out, const Execution& execution) const;
};

}  // namespace bimtdp::ops
