// SPDX-License-Identifier: Apache-2.0
// From the network's maps to what they mean: labels, unit normals, edge strengths. Conventions of MTI-Net's evaluation.
#pragma once

#include <bimtdp/core/error.hpp>
#include <bimtdp/core/tensor.hpp>
#include <bimtdp/simd/float_state.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace bimtdp {

/// One class number a pixel, height x width x 1.
using LabelMap = Tensor<std::int32_t>;

/// The channel with the largest value; the first one on ties. `labels` is height x width x 1.
inline void argmax(const TensorView<const float>& scores, const TensorView<std::int32_t>& labels) {
  demand(scores.shape.channels > 0, "argmax", "map without channels");
  check_equal(labels.shape, Shape{scores.shape.height, scores.shape.width, 1}, "argmax", "shape of the labels");
  for (std::size_t p = 0; p < scores.shape.pixels(); ++p) {
    const float* first = scores.data + p * scores.shape.channels;
    labels.data[p] = static_cast<std::int32_t>(std::max_element(first, first + scores.shape.channels) - first);
  }
}
[[nodiscard]] inline LabelMap argmax(const TensorView<const float>& scores) {
  LabelMap labels({scores.shape.height, scores.shape.width, 1});
  argmax(scores, labels);
  return labels;
}

/// Every pixel's vector divided by max(length, 1e-12). Squares of floats are exact in double, so that fusing changes nothing.
[[nodiscard]] inline Tensor<float> unit_normals(const TensorView<const float>& normals) {
  const FloatState standard;
  check_equal(normals.shape.channels, std::size_t{3}, "unit_normals", "channels");
  Tensor<float> out(normals.shape);
  for (std::size_t p = 0; p < normals.shape.pixels(); ++p) {
    const float* n = normals.data + 3 * p;
    const double x = n[0], y = n[1], z = n[2];
    const float length = (std::max)(static_cast<float>(std::sqrt(x * x + y * y + z * z)), 1e-12f);
    for (std::size_t c = 0; c < 3; ++c) out.data()[3 * p + c] = n[c] / length;
  }
  return out;
}

/// 1 / (1 + exp(-x)) of every element: edge probabilities. exp is the C library's, whose last bit may differ between systems.
[[nodiscard]] inline Tensor<float> sigmoid(const TensorView<const float>& x) {
  const FloatState standard;
  Tensor<float> out(x.shape);
  std::transform(x.data, x.data + x.shape.elements(), out.data(), [](float v) { return 1.0f / (1.0f + std::exp(-v)); });
  return out;
}

}  // namespace bimtdp
