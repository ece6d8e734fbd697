// SPDX-License-Identifier: Apache-2.0
// Resizing as PyTorch's interpolate computes it (align_corners=False, float32 index arithmetic). The size of `out` decides.
#pragma once

#include <bimtdp/core/bit_tensor.hpp>
#include <bimtdp/core/tensor.hpp>
#include <bimtdp/ops/execution.hpp>

namespace bimtdp::ops {

class ResizeBilinear {
 public:
  /// `height` and `width` are those of the output.
  [[nodiscard]] Shape output_shape(const Shape& input, std::size_t height, std::size_t width) const;
  [[nodiscard]] std::size_t scratch_bytes(const Shape& input, std::size_t height, std::size_t width, std::size_t threads) const;
  void run(const TensorView<const float>& in, const TensorView<float>& out, const Execution& execution) const;
};

class ResizeNearest {
 public:
  [[nodiscard]] Shape output_shape(const Shape& input, std::size_t height, std::size_t width) const;
  [[nodiscard]] std::size_t scratch_bytes(const Shape& input, std::size_t height, std::size_t width, std::size_t threads) const;
  void run(const TensorView<const float>& in, const TensorView<float>& out, const Execution& execution) const;
  template <class Word>
  void run(const std::type_identity_t<BitView<const Word>>& in, const BitView<Word>& out, const Execution& execution) const;
};

}  // namespace bimtdp::ops
