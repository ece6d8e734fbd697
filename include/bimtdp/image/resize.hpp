// SPDX-License-Identifier: Apache-2.0
// Photos to the network's size and maps back. Photos: a triangle filter as wide as a source pixel when enlarging (that is
// bilinear) and as a target pixel when shrinking (an area average that does not alias). Maps: the network's own bilinear.
#pragma once

#include <bimtdp/core/error.hpp>
#include <bimtdp/core/tensor.hpp>
#include <bimtdp/image/image.hpp>
#include <bimtdp/simd/float_state.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace bimtdp {

namespace detail {

/// Which source pixels make one target pixel, and their weights (sum 1). Weights are floats so that their products with
/// bytes and floats are exact in double: then the sums do not depend on whether the compiler fuses products into them.
struct FilterTap {
  std::size_t first = 0;
  std::vector<float> weights;
};

[[nodiscard]] inline std::vector<FilterTap> triangle_filter(std::size_t in, std::size_t out) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double reach = (std::max)(scale, 1.0);
  std::vector<FilterTap> taps(out);
  std::vector<double> weights;
  for (std::size_t i = 0; i < out; ++i) {
    const double center = (static_cast<double>((2 * i + 1) * in) - static_cast<double>(out)) / static_cast<double>(2 * out);
    const double last = static_cast<double>(in) - 1;
    const auto begin = static_cast<std::size_t>(std::clamp(std::ceil(center - reach), 0.0, last));
    const auto end = static_cast<std::size_t>(std::clamp(std::floor(center + reach), 0.0, last));
    taps[i].first = begin;
    double sum = 0;
    weights.clear();
    for (std::size_t p = begin; p <= end; ++p) {
      weights.push_back((std::max)(0.0, 1.0 - std::abs(static_cast<double>(p) - center) / reach));
      sum += weights.back();
    }
    for (const double weight : weights) taps[i].weights.push_back(static_cast<float>(weight / sum));
  }
  return taps;
}

}  // namespace detail

/// Resizes a photo. Throws Error for an empty photo or target, or extents above max_extent.
[[nodiscard]] inline Image resize_photo(const ImageView& photo, std::size_t height, std::size_t width) {
  const FloatState standard;
  const Shape& in = photo.shape;
  demand(in.elements() > 0 && height > 0 && width > 0, "resize_photo", "empty photo or target (got ", in, " to ", height, "x",
         width, ")");
  demand(height <= max_extent && width <= max_extent, "resize_photo", "target above ", max_extent, " pixels a side");
  const std::size_t channels = in.channels;
  const std::vector<detail::FilterTap> rows = detail::triangle_filter(in.height, height);
  const std::vector<detail::FilterTap> columns = detail::triangle_filter(in.width, width);
  Image out({height, width, channels});
  std::vector<double> sums(in.width * channels);
  std::vector<float> line(sums.size());
  for (std::size_t y = 0; y < height; ++y) {
    std::fill(sums.begin(), sums.end(), 0.0);
    for (std::size_t k = 0; k < rows[y].weights.size(); ++k) {
      const std::uint8_t* source = photo.pixel(rows[y].first + k, 0);
      const double weight = rows[y].weights[k];
      for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += weight * source[i];
    }
    std::transform(sums.begin(), sums.end(), line.begin(), [](double sum) { return static_cast<float>(sum); });
    for (std::size_t x = 0; x < width; ++x)
      for (std::size_t c = 0; c < channels; ++c) {
        double value = 0;
        for (std::size_t k = 0; k < columns[x].weights.size(); ++k)
          value += double{columns[x].weights[k]} * line[(columns[x].first + k) * channels + c];
        out(y, x, c) = static_cast<std::uint8_t>(std::clamp(value + 0.5, 0.0, 255.0));
      }
  }
  return out;
}

/// The rectangle from (top, left), height x width pixels. Throws Error when it is not inside the photo.
[[nodiscard]] inline Image crop(const ImageView& photo, std::size_t top, std::size_t left, std::size_t height, std::size_t width) {
  const Shape& in = photo.shape;
  demand(top <= in.height && left <= in.width && height <= in.height - top && width <= in.width - left, "crop", height, "x", width,
         " at (", top, ", ", left, ") is not inside a photo of ", in);
  Image out({height, width, in.channels});
  for (std::size_t y = 0; y < height; ++y)
    if (width > 0) std::copy_n(photo.pixel(top + y, left), width * in.channels, out.view().pixel(y, 0));
  return out;
}

/// The nearest pixel's value: for label maps, whose numbers cannot be averaged.
template <class T>
[[nodiscard]] Tensor<T> resize_labels(const TensorView<const T>& labels, std::size_t height, std::size_t width) {
  const Shape& in = labels.shape;
  demand(in.elements() > 0 && height > 0 && width > 0, "resize_labels", "empty map or target");
  Tensor<T> out({height, width, in.channels});
  for (std::size_t y = 0; y < height; ++y)
    for (std::size_t x = 0; x < width; ++x)
      std::copy_n(labels.pixel((2 * y + 1) * in.height / (2 * height), (2 * x + 1) * in.width / (2 * width)), in.channels,
                  out.view().pixel(y, x));
  return out;
}

}  // namespace bimtdp
