// SPDX-License-Identifier: Apache-2.0
// Squeeze and excite: x * sigmoid(expand(relu(reduce(mean of x)))).
#pragma once

#include <bimtdp/ops/linear.hpp>

namespace bimtdp::ops {

struct SqueezeExciteParameters {
  std::size_t channels = 0;
  std::size_t hidden = 0;
  std::span<const float> reduce_weight{};  ///< [hidden][channels]
  std::span<const float> reduce_bias{};    ///< [hidden]
  std::span<const float> expand_weight{};  ///< [channels][hidden]
  std::span<const float> expand_bias{};    ///< [channels]
};

class SqueezeExcite {
 public:
  SqueezeExcite(const kernels::KernelTable& kernels, const SqueezeExciteParameters& parameters);

  [[nodiscard]] Shape output_shape(const Shape& input) const;
  [[nodiscard]] std::size_t scratch_bytes(const Shape& input, std::size_t threads) const;
  void run(const TensorView<const float>& in, const TensorView<float>& out, const Execution& execution) const;
};

}  // namespace bimtdp::ops
