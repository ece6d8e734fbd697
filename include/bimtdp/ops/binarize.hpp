// SPDX-License-Identifier: Apache-2.0
// Between floats and bits. Binarize: bit = (y >= 0), y = fma(x, scale, shift) or x + shift or x. Unpack: bit ? +1 : -1.
#pragma once

#include <bimtdp/core/bit_tensor.hpp>
#include <bimtdp/kernels/select.hpp>
#include <bimtdp/ops/epilogue.hpp>
#include <bimtdp/ops/workspace.hpp>

namespace bimtdp::ops {

struct BinarizeParameters {
  std::size_t channels = 0;
  std::span<const float> scale{};  ///< empty or one value a channel; needs a shift
  std::span<const float> shift{};  ///< empty or one value a channel
};

class Binarize {
 public:
  explicit Binarize(const BinarizeParameters& p)
      : channels_(p.channels),
        scale_(channel_values(p.scale, p.channels, "binarize", "scale")),
        shift_(channel_values(p.shift, p.channels, "binarize", "shift")) {
    demand(scale_.empty() || !shift_.empty(), "binarize", "a scale needs a shift");
  }

  [[nodiscard]] Shape output_shape(const Shape& input) const {
    check_equal(input.channels, channels_, "binarize", "channels");
    return input;
  }

  void run(const TensorView<const float>& in, const BitView<std::uint32_t>& out, const Workspace& workspace) const {
    check_equal(out.shape, output_shape(in.shape), "binarize", "output shape");
    check_workspace(workspace, 0, "binarize");
    const float* scale = scale_.empty() ? nullptr : scale_.data();
    const float* shift = shift_.empty() ? nullptr : shift_.data();
    workspace.kernels->binarize(in.data, in.shape.pixels(), channels_, scale, shift, out.data);
  }

 private:
  std::size_t channels_;
  AlignedVector<float> scale_, shift_;
};

class Unpack {
 public:
  [[nodiscard]] Shape output_shape(const Shape& input) const { return input; }

  void run(const BitView<const std::uint32_t>& in, const TensorView<float>& out, const Workspace& workspace) const {
    check_equal(out.shape, in.shape, "unpack", "output shape");
    check_workspace(workspace, 0, "unpack");
    debug_check_tail(in, "unpack");
    workspace.kernels->unpack(in.data, in.shape.pixels(), in.shape.channels, out.data);
  }
};

/// One call each: allocates and runs.
[[nodiscard]] inline BitTensor<std::uint32_t> binarize(const TensorView<const float>& x, const BinarizeParameters& parameters,
                                                       const kernels::KernelTable& kernels = kernels::active()) {
  const Binarize op(parameters);
  BitTensor<std::uint32_t> out(op.output_shape(x.shape));
  op.run(x, out, OwnWorkspace(kernels));
  return out;
}
[[nodiscard]] inline Tensor<float> unpack(const BitView<const std::uint32_t>& bits, const kernels::KernelTable& kernels) {
  Tensor<float> out(bits.shape);
  Unpack().run(bits, out, OwnWorkspace(kernels));
  return out;
}

}  // namespace bimtdp::ops
