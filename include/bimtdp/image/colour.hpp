// SPDX-License-Identifier: Apache-2.0
// Maps as pictures: classes by a palette, depth by a scale from nearest (yellow) to farthest (dark blue), normals as RGB, edges
// as grey, overlays, and panels of several pictures.
#pragma once

#include <bimtdp/core/error.hpp>
#include <bimtdp/image/image.hpp>
#include <bimtdp/image/postprocess.hpp>
#include <bimtdp/simd/float_state.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

namespace bimtdp {

using Colour = std::array<std::uint8_t, 3>;

namespace detail {

/// 0..1 to 0..255, rounded; NaN gives 0.
[[nodiscard]] inline std::uint8_t to_byte(double value) {
  return value > 0 ? static_cast<std::uint8_t>((std::min)(value, 1.0) * 255.0 + 0.5) : std::uint8_t{0};
}

/// Hue, saturation and value, all 0..1.
[[nodiscard]] inline Colour from_hsv(double hue, double saturation, double value) {
  Colour colour{};
  for (std::size_t c = 0; c < 3; ++c) {
    const double k = std::fmod((c == 0 ? 5.0 : c == 1 ? 3.0 : 1.0) + hue * 6.0, 6.0);
    colour[c] = to_byte(value - value * saturation * std::clamp((std::min)(k, 4.0 - k), 0.0, 1.0));
  }
  return colour;
}

}  // namespace detail

/// `count` distinct colours: hues a golden section apart, in three changing brightnesses and saturations.
[[nodiscard]] inline std::vector<Colour> palette(std::size_t count) {
  const FloatState standard;
  constexpr double golden = 0.6180339887498949;
  constexpr std::array<std::array<double, 2>, 3> tones{{{0.62, 0.95}, {0.85, 0.70}, {0.38, 0.85}}};
  std::vector<Colour> colours;
  for (std::size_t i = 0; i < count; ++i) {
    const double hue = 0.58 + golden * static_cast<double>(i / 3) + static_cast<double>(i % 3) / 3;
    colours.push_back(detail::from_hsv(std::fmod(hue, 1.0), tones[i % 3][0], tones[i % 3][1]));
  }
  return colours;
}

/// The palette's colour of every label; black for labels outside the palette.
[[nodiscard]] inline Image colour_labels(const TensorView<const std::int32_t>& labels, std::span<const Colour> colours) {
  check_equal(labels.shape.channels, std::size_t{1}, "colour_labels", "channels");
  Image out({labels.shape.height, labels.shape.width, 3});
  for (std::size_t p = 0; p < labels.shape.pixels(); ++p) {
    const std::int32_t label = labels.data[p];
    if (label < 0 || static_cast<std::size_t>(label) >= colours.size()) continue;
    std::copy_n(colours[static_cast<std::size_t>(label)].begin(), 3, out.data() + 3 * p);
  }
  return out;
}

/// A scale from dark blue (0) over violet and orange to light yellow (1), evenly brighter.
[[nodiscard]] inline Colour scale_colour(double t) {
  constexpr std::array<Colour, 7> stops{
      {{8, 10, 50}, {58, 16, 110}, {122, 30, 120}, {184, 52, 92}, {232, 98, 52}, {250, 168, 54}, {252, 244, 170}}};
  const double at = (t > 0 ? (std::min)(t, 1.0) : 0.0) * static_cast<double>(stops.size() - 1);
  const auto below = (std::min)(static_cast<std::size_t>(at), stops.size() - 2);
  Colour colour{};
  for (std::size_t c = 0; c < 3; ++c)
    colour[c] = detail::to_byte(std::lerp(stops[below][c], stops[below + 1][c], at - static_cast<double>(below)) / 255.0);
  return colour;
}

/// The smallest and largest finite value; infinity and -infinity where there is none.
[[nodiscard]] inline std::pair<float, float> finite_range(const TensorView<const float>& map) {
  float least = INFINITY, most = -INFINITY;
  for (const float value : map.span())
    if (std::isfinite(value)) least = (std::min)(least, value), most = (std::max)(most, value);
  return {least, most};
}

/// Depth with `nearest` light and `farthest` dark; where nearest == farthest (default) the map's smallest and largest finite values
/// are taken.
[[nodiscard]] inline Image colour_depth(const TensorView<const float>& depth, float nearest = 0, float farthest = 0) {
  const FloatState standard;
  check_equal(depth.shape.channels, std::size_t{1}, "colour_depth", "channels");
  if (nearest == farthest) std::tie(nearest, farthest) = finite_range(depth);
  const double range = farthest > nearest ? static_cast<double>(farthest) - static_cast<double>(nearest) : 1.0;
  Image out({depth.shape.height, depth.shape.width, 3});
  for (std::size_t p = 0; p < depth.shape.pixels(); ++p) {
    const Colour colour = scale_colour((static_cast<double>(farthest) - static_cast<double>(depth.data[p])) / range);
    std::copy_n(colour.begin(), 3, out.data() + 3 * p);
  }
  return out;
}

/// Unit normals as RGB: (n + 1) / 2.
[[nodiscard]] inline Image colour_unit_normals(const TensorView<const float>& unit) {
  const FloatState standard;
  check_equal(unit.shape.channels, std::size_t{3}, "colour_unit_normals", "channels");
  Image out(unit.shape);
  std::transform(unit.span().begin(), unit.span().end(), out.data(),
                 [](float v) { return detail::to_byte((static_cast<double>(v) + 1) / 2); });
  return out;
}
/// The same for normals of any length.
[[nodiscard]] inline Image colour_normals(const TensorView<const float>& normals) {
  return colour_unit_normals(unit_normals(normals));
}

/// Probabilities of 0 to 1 as grey: white is 1.
[[nodiscard]] inline Image colour_probabilities(const TensorView<const float>& probabilities) {
  const FloatState standard;
  check_equal(probabilities.shape.channels, std::size_t{1}, "colour_probabilities", "channels");
  Image out({probabilities.shape.height, probabilities.shape.width, 3});
  for (std::size_t p = 0; p < probabilities.shape.pixels(); ++p)
    std::fill_n(out.data() + 3 * p, 3, detail::to_byte(static_cast<double>(probabilities.data[p])));
  return out;
}
/// Edge scores (before the sigmoid) as grey: white is an edge.
[[nodiscard]] inline Image colour_edges(const TensorView<const float>& scores) { return colour_probabilities(sigmoid(scores)); }

/// The photo in grey under the colours, so that both are recognised. Throws Error unless both have one shape and 3 channels.
[[nodiscard]] inline Image overlay(const ImageView& photo, const ImageView& colours) {
  check_equal(photo.shape.channels, std::size_t{3}, "overlay", "channels");
  check_equal(colours.shape, photo.shape, "overlay", "shape of the colours");
  Image out(photo.shape);
  for (std::size_t p = 0; p < photo.shape.pixels(); ++p) {
    const std::uint8_t* rgb = photo.data + 3 * p;
    const int grey = (3 * rgb[0] + 6 * rgb[1] + rgb[2]) / 10;
    for (std::size_t c = 0; c < 3; ++c)
      out.data()[3 * p + c] = static_cast<std::uint8_t>((9 * grey + 11 * colours.data[3 * p + c]) / 20);
  }
  return out;
}

/// Pictures of one size in rows of `columns`, `gap` white pixels between and around them.
[[nodiscard]] inline Image panel(std::span<const Image> pictures, std::size_t columns, std::size_t gap = 8) {
  demand(!pictures.empty() && columns > 0, "panel", "no pictures or columns");
  const Shape size = pictures[0].shape();
  for (const Image& picture : pictures) check_equal(picture.shape(), size, "panel", "shape of a picture");
  columns = (std::min)(columns, pictures.size());
  const std::size_t rows = (pictures.size() + columns - 1) / columns;
  Image out({rows * (size.height + gap) + gap, columns * (size.width + gap) + gap, size.channels});
  std::fill(out.span().begin(), out.span().end(), std::uint8_t{255});
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    const std::size_t top = gap + i / columns * (size.height + gap), left = gap + i % columns * (size.width + gap);
    for (std::size_t y = 0; y < size.height; ++y)
      if (size.width > 0) std::copy_n(pictures[i].view().pixel(y, 0), size.width * size.channels, out.view().pixel(top + y, left));
  }
  return out;
}

}  // namespace bimtdp
