// SPDX-License-Identifier: Apache-2.0
// L2 normalisation over the channels of a pixel: x / max(sqrt(sum of squares), 1e-12).
#pragma once

#include <bimtdp/core/tensor.hpp>
#include <bimtdp/ops/workspace.hpp>
#include <bimtdp/simd/emulated_fma.hpp>

#include <cmath>

namespace bimtdp::ops {

class L2Normalize {
 public:
  [[nodiscard]] Shape output_shape(const Shape& input) const { return input; }

  /// `out` may be `in`.
  void run(const TensorView<const float>& in, const TensorView<float>& out, const Workspace& workspace) const {
    check_equal(out.shape, in.shape, "l2_normalize", "output shape");
    check_workspace(workspace, 0, "l2_normalize");
    const std::size_t channels = in.shape.channels;
    for (std::size_t p = 0; p < in.shape.pixels(); ++p) normalize(in.data + p * channels, out.data + p * channels, channels);
  }

 private:
  static void normalize(const float* in, float* out, std::size_t channels) noexcept {
    float squares = 0.0F;
    for (std::size_t c = 0; c < channels; ++c) squares = simd::exact_fma(in[c], in[c], squares);
    const float norm = (std::max)(std::sqrt(squares), 1e-12F);
    for (std::size_t c = 0; c < channels; ++c) out[c] = in[c] / norm;
  }
};

}  // namespace bimtdp::ops
