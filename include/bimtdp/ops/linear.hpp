// SPDX-License-Identifier: Apache-2.0
// Fully connected layer on a 1x1xC map: a 1x1 convolution of one pixel.
#pragma once

#include <bimtdp/ops/conv2d.hpp>

namespace bimtdp::ops {

struct LinearParameters {
  std::size_t in_channels = 0;
  std::size_t out_channels = 0;
  std::span<const float> weights{};  ///< [out][in]
  std::span<const float> bias{};     ///< empty or [out]
  ActivationParameters activation{};
};

class Linear {
 public:
  Linear(const kernels::KernelTable& kernels, const LinearParameters& p, std::string_view where = "linear")
      : where_(where), conv_(kernels, {{}, 1, p.in_channels, p.out_channels, p.weights, {{}, {}, p.bias, p.activation}}, where) {}

  [[nodiscard]] Shape output_shape(const Shape& input) const {
    demand(input.height == 1 && input.width == 1, where_, "input shape (got ", input, ", expected 1x1xC)");
    return conv_.output_shape(input);
  }
  [[nodiscard]] std::size_t scratch_bytes(const Shape& input) const {
    static_cast<void>(output_shape(input));
    return conv_.scratch_bytes(input);
  }
  void run(const TensorView<const float>& in, const TensorView<float>& out, const Workspace& workspace) const {
    check_equal(out.shape, output_shape(in.shape), where_, "output shape");
    conv_.run(in, out, workspace);
  }

 private:
  std::string_view where_;  // a literal
  Conv2d conv_;
};

/// One call: prepares the weights, allocates and runs.
[[nodiscard]] inline Tensor<float> linear(const TensorView<const float>& in, const LinearParameters& parameters,
                                          const kernels::KernelTable& kernels = kernels::active()) {
  const Linear layer(kernels, parameters);
  Tensor<float> out(layer.output_shape(in.shape));
  layer.run(in, out, OwnWorkspace(kernels, layer.scratch_bytes(in.shape)));
  return out;
}

}  // namespace bimtdp::ops
