// SPDX-License-Identifier: Apache-2.0
// Binary convolution. dot = Kv - 2*popcount(activation xor weight); Kv counts the channel pairs of the taps inside the image,
// so zero padding is exact: taps outside contribute nothing.
#pragma once

#include <bimtdp/core/bit_tensor.hpp>
#include <bimtdp/ops/epilogue.hpp>
#include <bimtdp/ops/execution.hpp>

namespace bimtdp::ops {

struct BinaryConv2dParameters {
  Window window{};
  std::size_t groups = 1;
  std::size_t in_channels = 0;
  std::size_t out_channels = 0;
  std::span<const std::uint64_t> weights{};  ///< [out][kh][kw][ceil(in/groups/64)], bit i of word w = channel 64w+i, tail bits 0
  EpilogueParameters epilogue{};             ///< integer output: empty; bit output: no activation
};

enum class BinaryOutput : std::uint8_t { integer, floats, bits };

class BinaryConv2d {
 public:
  BinaryConv2d(const kernels::KernelTable& kernels, const BinaryConv2dParameters& parameters, BinaryOutput output);

  [[nodiscard]] Shape output_shape(const Shape& input) const;
  [[nodiscard]] std::size_t scratch_bytes(const Shape& input, std::size_t threads) const;
  /// Each overload belongs to one BinaryOutput. execution.kernels must be the table of the constructor.
  void run(const BitView<const std::uint32_t>& in, const TensorView<std::int32_t>& out, const Execution& execution) const;
  void run(const BitView<const std::uint32_t>& in, const TensorView<float>& out, const Execution& execution,
           const TensorView<const float>& residual = {}) const;
  void run(const BitView<const std::uint32_t>& in, const BitView<std::uint32_t>& out, const Execution& execution) const;
};

}  // namespace bimtdp::ops
