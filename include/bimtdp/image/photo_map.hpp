// SPDX-License-Identifier: Apache-2.0
// PhotoMap: what a task says of every pixel of a photo, read from the network's map by its kind.
#pragma once

#include <bimtdp/core/error.hpp>
#include <bimtdp/core/tensor.hpp>
#include <bimtdp/image/output_kind.hpp>
#include <bimtdp/image/postprocess.hpp>
#include <bimtdp/image/size.hpp>
#include <bimtdp/ops/resize.hpp>
#include <bimtdp/simd/float_state.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace bimtdp {

/// Class numbers, or floats: metres, unit normals, edge probabilities or raw values.
using PixelValues = std::variant<Tensor<float>, LabelMap>;

struct PhotoMap {
  std::string task{};
  OutputKind kind = OutputKind::raw;
  std::vector<std::string> class_names{};  ///< of the kind classes: the name of every class number
  PixelValues values{};                    ///< height x width x channels; of the kind classes numbers, else floats

  /// Throws Error unless the values are class numbers.
  [[nodiscard]] const LabelMap& labels() const { return get<LabelMap>("class numbers"); }
  /// Throws Error where the values are class numbers.
  [[nodiscard]] const Tensor<float>& floats() const { return get<Tensor<float>>("floats"); }

 private:
  template <class Values>
  [[nodiscard]] const Values& get(std::string_view what) const {
    const auto* found = std::get_if<Values>(&values);
    demand(found != nullptr, "map of the task '" + task + "'", "holds no ", what);
    return *found;
  }
};

/// argmax of `scores` resized bilinearly to `size`. Some rows at a time: all scores of a large photo may take gigabytes.
[[nodiscard]] inline LabelMap labels_at(const TensorView<const float>& scores, const Size& size) {
  const FloatState standard;
  constexpr std::size_t strip_bytes = std::size_t{1} << 20;
  const ops::ResizeBilinear resize;
  const Shape whole = resize.output_shape(scores.shape, size.height, size.width);
  const std::size_t row_bytes = whole.width * whole.channels * sizeof(float);  // above 0: output_shape refuses empty maps
  const std::size_t rows = std::clamp<std::size_t>(strip_bytes / row_bytes, 1, whole.height);
  const ops::OwnWorkspace workspace(kernels::active(), resize.scratch_bytes(scores.shape, rows, whole.width));
  Tensor<float> strip;
  LabelMap labels({whole.height, whole.width, 1});
  for (std::size_t y = 0; y < whole.height; y += rows) {
    strip.reshape({(std::min)(rows, whole.height - y), whole.width, whole.channels});
    resize.run_rows(scores, whole.height, y, strip.view(), workspace);
    argmax(strip, labels.view().rows(y, strip.shape().height));
  }
  return labels;
}

/// A network's map resized bilinearly to `size` and read by its kind: of scores the class, of normals the unit vector, of edges
/// the probability; depth and raw values as they are. Throws Error for an empty map or size.
[[nodiscard]] inline PixelValues read_map(OutputKind kind, const TensorView<const float>& map, const Size& size) {
  const FloatState standard;
  if (kind == OutputKind::classes) return labels_at(map, size);
  Tensor<float> large = ops::resize_bilinear(map, size.height, size.width);
  if (kind == OutputKind::normals) return unit_normals(large);
  if (kind == OutputKind::edges) return sigmoid(large);
  return large;
}

}  // namespace bimtdp
