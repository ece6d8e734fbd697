// SPDX-License-Identifier: Apache-2.0
// Image: 8-bit RGB pixels, height x width x 3.
#pragma once

#include <bimtdp/core/tensor.hpp>

#include <cstdint>

namespace bimtdp {

using Image = Tensor<std::uint8_t>;
using ImageView = TensorView<const std::uint8_t>;

}  // namespace bimtdp
