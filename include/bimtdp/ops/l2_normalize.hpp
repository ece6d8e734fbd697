// SPDX-License-Identifier: Apache-2.0
// L2 normalisation over the channels of a pixel: x / max(sqrt(sum of squares), 1e-12).
#pragma once

#include <bimtdp/core/tensor.hpp>
#include <bimtdp/ops/execution.hpp>

#include <cmath>

namespace bimtdp::ops {

class L2Normalize {
 public:
  [[nodiscard]] Shape output_shape(const Shape& input) const { return input; }
  [[nodiscard]] std::size_t scratch_bytes(const Shape&, std::size_t) const { return 0; }

  /// `out` may be `in`.
  void run(const TensorView<const float>& in, const TensorView<float>& out, const Execution& execution) const {
    check_equal(out.shape, in.shape, "l2_normalize", "output shape");
    check_execution(execution, {}, "l2_normalize");
    for_each_row(execution, in.shape.height, {}, [&](std::size_t y, const Scratch&) {
      for (std::size_t x = 0; x < in.shape.width; ++x) normalize(in.pixel(y, x), out.pixel(y, x), in.shape.channels);
    });
  }

 private:
  static void normalize(const float* in, float* out, std::size_t channels) noexcept {
    float squares = 0.0F;
    for (std::size_t c = 0; c < channels; ++c) squares = std::fma(in[c], in[c], squares);
    const float norm = std::max(std::sqrt(squares), 1e-12F);
    for (std::size_t c = 0; c < channels; ++c) out[c] = in[c] / norm;
  }
};

}  // namespace bimtdp::ops
