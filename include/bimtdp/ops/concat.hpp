// SPDX-License-Identifier: Apache-2.0
// Concatenation and slices along channels, of floats and of bits (at any bit offset).
#pragma once

#include <bimtdp/core/bit_tensor.hpp>
#include <bimtdp/core/tensor.hpp>
#include <bimtdp/ops/execution.hpp>

namespace bimtdp::ops {

class Concat {
 public:
  [[nodiscard]] Shape output_shape(std::span<const Shape> inputs) const;
  [[nodiscard]] std::size_t scratch_bytes(std::span<const Shape> inputs, std::size_t threads) const;
  void run(std::span<const TensorView<const float>> in, const TensorView<float>& out, const Execution& execution) const;
  template <class Word>
  void run(std::type_identity_t<std::span<const BitView<const Word>>> in, const BitView<Word>& out, const Execution& execution) const;
};

/// Channels begin..end-1.
class Slice {
 public:
  Slice(std::size_t begin, std::size_t end);
  [[nodiscard]] Shape output_shape(const Shape& input) const;
  [[nodiscard]] std::size_t scratch_bytes(const Shape& input, std::size_t threads) const;
  void run(const TensorView<const float>& in, const TensorView<float>& out, const Execution& execution) const;
  template <class Word>
  void run(const std::type_identity_t<BitView<const Word>>& in, const BitView<Word>& out, const Execution& execution) const;
};

}  // namespace bimtdp::ops
