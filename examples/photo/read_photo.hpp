// SPDX-License-Identifier: Apache-2.0
// Reads a photo, JPEG or PNG, as upright RGB: a strict walk, a decoder, a turn.
//
// The walk decides alone what is read and what is refused, so files that are cut off, damaged or too large give the same error
// with every version of every decoder. The decoder is stb_image, or libjpeg and libpng where EXAMPLE_LIBJPEG and EXAMPLE_LIBPNG
// are defined (CMake does where it finds them). Colours are as stored: without profiles, without transparency, of 16 bits the
// high 8, CMYK on white paper.
#pragma once

#include "jpeg_walk.hpp"
#include "png_walk.hpp"

#include <bimtdp/io/read_file.hpp>

#include "stb.hpp"
#if defined(EXAMPLE_LIBJPEG)
#include "libjpeg.hpp"
#endif
#if defined(EXAMPLE_LIBPNG)
#include "libpng.hpp"
#endif

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace example {

using bimtdp::Image;

inline constexpr std::size_t max_photo_bytes = std::size_t{64} << 20;

/// The photo as the camera was held; `orientation` as in EXIF, 1 to 8.
[[nodiscard]] inline Image upright(const Image& photo, int orientation) {
  const std::size_t height = photo.shape().height, width = photo.shape().width;
  const bool swapped = orientation >= 5;
  Image out({swapped ? width : height, swapped ? height : width, 3});
  const bool flip_x = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool flip_y = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  for (std::size_t y = 0; y < out.shape().height; ++y)
    for (std::size_t x = 0; x < out.shape().width; ++x) {
      std::size_t from_y = swapped ? x : y, from_x = swapped ? y : x;
      if (flip_y) from_y = height - 1 - from_y;
      if (flip_x) from_x = width - 1 - from_x;
      std::copy_n(photo.view().pixel(from_y, from_x), 3, out.view().pixel(y, x));
    }
  return out;
}

namespace photo {

enum class Format { jpeg, png };

/// By the first bytes. Throws Error for all other files.
[[nodiscard]] inline Format format_of(const std::string& where, Bytes file) {
  const auto starts_like = [&](Bytes signature) {
    const std::size_t length = std::min(file.size(), signature.size());
    return length > 0 && std::equal(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(length), signature.begin());
  };
  if (starts_like(std::array<std::uint8_t, 3>{0xFF, SOI, 0xFF})) return Format::jpeg;
  if (starts_like(png_signature)) return Format::png;
  bimtdp::fail(where, file.empty() ? "is empty" : "is no JPEG or PNG photo",
               " (expected the first bytes of one; convert other kinds)");
}

/// The checked photo of a file, ready for every decoder.
[[nodiscard]] inline WalkedPhoto walk(const std::string& where, Bytes file) {
  return format_of(where, file) == Format::jpeg ? JpegWalk(where, file).walk() : PngWalk(where, file).walk();
}

/// The pixels of a walked photo, as stored.
[[nodiscard]] inline Image decode(const std::string& where, const WalkedPhoto& walked) {
#if defined(EXAMPLE_LIBJPEG)
  if (format_of(where, walked.clean) == Format::jpeg) return decode_with_libjpeg(where, walked);
#endif
#if defined(EXAMPLE_LIBPNG)
  if (format_of(where, walked.clean) == Format::png) return decode_with_libpng(where, walked);
#endif
  return decode_with_stb(where, walked);
}

}  // namespace photo

/// The upright photo that a file's bytes hold. Throws Error, which names the file `where`.
[[nodiscard]] inline Image decode_photo(const std::string& where, photo::Bytes file) {
  const photo::WalkedPhoto walked = photo::walk(where, file);
  Image stored = photo::decode(where, walked);
  return walked.orientation == 1 ? std::move(stored) : upright(stored, walked.orientation);
}

/// Reads a JPEG or PNG photo as upright RGB. Throws Error, also for files and photos that are too large.
[[nodiscard]] inline Image read_photo(const std::filesystem::path& path) {
  const bimtdp::AlignedVector<std::byte> bytes = bimtdp::read_file(path, max_photo_bytes);
  return decode_photo(path.string(), {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
}

}  // namespace example
