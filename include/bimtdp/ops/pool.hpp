// SPDX-License-Identifier: Apache-2.0
// Pooling with PyTorch's rules: padding never takes part in a maximum, and counts in an average only on request.
#pragma once

#include <bimtdp/core/bit_tensor.hpp>
#include <bimtdp/core/tensor.hpp>
#include <bimtdp/ops/execution.hpp>

namespace bimtdp::ops {

/// Maximum over a window; on bits the OR of its pixels. Every window must see at least one pixel.
class MaxPool2d {
 public:
  explicit MaxPool2d(const Window& window);
  [[nodiscard]] Shape output_shape(const Shape& input) const;
  [[nodiscard]] std::size_t scratch_bytes(const Shape& input, std::size_t threads) const;
  void run(const TensorView<const float>& in, const TensorView<float>& out, const Execution& execution) const;
  template <class Word>
  void run(const std::type_identity_t<BitView<const Word>>& in, const BitView<Word>& out, const Execution& execution) const;
};

/// Average over a window (dilation 1): the sum divided by the window's size where the padding counts, else by its pixels inside.
class AveragePool2d {
 public:
  AveragePool2d(const Window& window, bool count_include_pad);
  [[nodiscard]] Shape output_shape(const Shape& input) const;
  [[nodiscard]] std::size_t scratch_bytes(const Shape& input, std::size_t threads) const;
  void run(const TensorView<const float>& in, const TensorView<float>& out, const Execution& execution) const;
};

/// Average over PyTorch's bins: rows floor(i*in/out) to ceil((i+1)*in/out), columns alike. Sums in double, row-major.
class AdaptiveAveragePool2d {
 public:
  AdaptiveAveragePool2d(std::size_t height, std::size_t width);
  [[nodiscard]] Shape output_shape(const Shape& input) const;
  [[nodiscard]] std::size_t scratch_bytes(const Shape& input, std::size_t threads) const;
  void run(const TensorView<const float>& in, const TensorView<float>& out, const Execution& execution) const;
};

}  // namespace bimtdp::ops
