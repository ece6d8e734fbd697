// SPDX-License-Identifier: Apache-2.0
// Text on pictures: captions and legends.
#pragma once

#include <bimtdp/image/colour.hpp>
#include <bimtdp/image/image.hpp>
#include <bimtdp/image/picture.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#endif
#include <stb/stb_easy_font.h>
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

namespace example {

using bimtdp::Colour;
using bimtdp::Image;

inline constexpr std::size_t text_scale = 2;  ///< pixels a pixel of the font
inline constexpr std::size_t line_height = 12 * text_scale;

/// Fills a rectangle; the part outside the picture is left out.
inline void fill(Image& picture, std::size_t top, std::size_t left, std::size_t height, std::size_t width, const Colour& colour) {
  const std::size_t bottom = std::min(top + height, picture.shape().height), right = std::min(left + width, picture.shape().width);
  for (std::size_t y = top; y < bottom; ++y)
    for (std::size_t x = left; x < right; ++x) std::copy(colour.begin(), colour.end(), picture.view().pixel(y, x));
}

/// The text with '?' for every character that the font does not have: it has printable ASCII.
[[nodiscard]] inline std::string drawable(std::string text) {
  const auto byte = [](char c) { return static_cast<unsigned char>(c); };
  std::erase_if(text, [&](char c) { return (byte(c) & 0xC0U) == 0x80; });  // all bytes of a character but the first
  std::replace_if(
      text.begin(), text.end(), [&](char c) { return byte(c) < 32 || byte(c) > 126; }, '?');
  return text;
}

[[nodiscard]] inline std::size_t text_width(const std::string& shown) {
  std::string text = drawable(shown);
  return static_cast<std::size_t>(stb_easy_font_width(text.data())) * text_scale;
}

/// Writes one line of text.
inline void write_text(Image& picture, std::size_t top, std::size_t left, const std::string& shown, const Colour& colour) {
  std::string text = drawable(shown);
  struct Vertex {
    float x, y, z;
    std::uint8_t colour[4];
  };
  std::vector<Vertex> vertices(300 * text.size() / 4 + 64);
  const int quads =
      stb_easy_font_print(0, 0, text.data(), nullptr, vertices.data(), static_cast<int>(vertices.size() * sizeof(Vertex)));
  for (std::size_t q = 0; q < static_cast<std::size_t>(quads); ++q) {
    const Vertex &first = vertices[4 * q], &third = vertices[4 * q + 2];
    const auto at = [](float value) { return static_cast<std::size_t>(std::max(value, 0.0f)) * text_scale; };
    fill(picture, top + at(first.y), left + at(first.x), at(third.y) - at(first.y), at(third.x) - at(first.x), colour);
  }
}

/// A dark bar with text in the upper left corner.
[[nodiscard]] inline Image with_caption(Image picture, const std::string& text) {
  fill(picture, 0, 0, line_height, text_width(text) + 6 * text_scale, {20, 20, 24});
  write_text(picture, 2 * text_scale, 3 * text_scale, text, {255, 255, 255});
  return picture;
}

/// The classes with their colours and shares, as many as there is room for; as large as `shape`.
[[nodiscard]] inline Image draw_legend(std::span<const bimtdp::LegendEntry> entries, const bimtdp::Shape& shape) {
  Image out(shape);
  fill(out, 0, 0, shape.height, shape.width, {255, 255, 255});
  const std::size_t margin = 8 * text_scale, rows = std::max<std::size_t>(1, (shape.height - margin) / line_height);
  const std::size_t column = std::max<std::size_t>(shape.width / 2, 1);
  for (std::size_t i = 0; i < std::min(entries.size(), 2 * rows); ++i) {
    const auto& [name, colour, percent] = entries[i];
    const std::size_t top = margin / 2 + i % rows * line_height, left = margin / 2 + i / rows * column;
    fill(out, top, left, line_height - 2 * text_scale, line_height, colour);
    write_text(out, top + 2 * text_scale, left + line_height + margin / 2,
               name + (percent > 0 ? " " + std::to_string(percent) + "%" : ""), {20, 20, 24});
  }
  return out;
}

}  // namespace example
