// SPDX-License-Identifier: Apache-2.0
// From 8-bit RGB to the network's normalised floats: out = float((value/255 - mean[c]) / std[c]), computed in double,
// one table of 256 floats a channel, so that every build and PyTorch get the same bits.
#pragma once

#include <bimtdp/core/error.hpp>
#include <bimtdp/image/image.hpp>
#include <bimtdp/simd/float_state.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace bimtdp {

class Normalizer {
 public:
  /// Throws Error unless means are finite and deviations positive and finite.
  Normalizer(const std::array<double, 3>& mean, const std::array<double, 3>& deviation) {
    const FloatState standard;
    for (std::size_t c = 0; c < 3; ++c) {
      demand(std::isfinite(mean[c]), "preprocessing", "mean (got ", mean[c], ", expected a finite number)");
      demand(std::isfinite(deviation[c]) && deviation[c] > 0, "preprocessing", "std (got ", deviation[c],
             ", expected a positive number)");
      for (std::size_t v = 0; v < 256; ++v) {
        table_[c][v] = static_cast<float>((static_cast<double>(v) / 255.0 - mean[c]) / deviation[c]);
        demand(std::isfinite(table_[c][v]), "preprocessing", "std (got ", deviation[c], ", expected a larger number)");
      }
    }
  }

  /// `image` and `out` have the same shape, 3 channels.
  void run(const ImageView& image, const TensorView<float>& out) const {
    check_equal(image.shape.channels, std::size_t{3}, "image", "channels");
    check_equal(out.shape, image.shape, "image", "shape");
    const std::size_t pixels = image.shape.pixels();
    for (std::size_t p = 0; p < pixels; ++p)
      for (std::size_t c = 0; c < 3; ++c) out.data[3 * p + c] = table_[c][image.data[3 * p + c]];
  }
  [[nodiscard]] Tensor<float> run(const ImageView& image) const {
    Tensor<float> out(image.shape);
    run(image, out);
    return out;
  }

 private:
  std::array<std::array<float, 256>, 3> table_{};
};

}  // namespace bimtdp
