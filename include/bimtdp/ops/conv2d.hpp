// SPDX-License-Identifier: Apache-2.0
// Float convolution with groups. Taps outside the image are skipped; sums run over the taps in order, then their channels.
#pragma once

#include <bimtdp/core/tensor.hpp>
#include <bimtdp/ops/epilogue.hpp>
#include <bimtdp/ops/execution.hpp>

namespace bimtdp::ops {

struct Conv2dParameters {
  Window window{};
  std::size_t groups = 1;
  std::size_t in_channels = 0;
  std::size_t out_channels = 0;
  std::span<const float> weights{};  ///< [out][kh][kw][in/groups]
  EpilogueParameters epilogue{};
};

class Conv2d {
 public:
  Conv2d(const kernels::KernelTable& kernels, const Conv2dParameters& parameters);

  [[nodiscard]] Shape output_shape(const Shape& input) const;
  [[nodiscard]] std::size_t scratch_bytes(const Shape& input, std::size_t threads) const;
  /// execution.kernels must be the table of the constructor; a residual has the shape of `out`.
  void run(const TensorView<const float>& in, const TensorView<float>& out, const Execution& execution,
           const TensorView<const float>& residual = {}) const;
};

}  // namespace bimtdp::ops
