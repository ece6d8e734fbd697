// SPDX-License-Identifier: Apache-2.0
// Fully connected layer on a 1x1xC map.
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
  Linear(const kernels::KernelTable& kernels, const LinearParameters& parameters);

  [[nodiscard]] Shape output_shape(const Shape& input) const;
  [[nodiscard]] std::size_t scratch_bytes(const Shape& input, std::size_t threads) const;
  void run(const TensorView<const float>& in, const TensorView<float>& out, const Execution& execution) const;
};

}  // namespace bimtdp::ops
