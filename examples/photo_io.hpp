// SPDX-License-Identifier: Apache-2.0
// Photos in and pictures out (JPEG, PNG) for the examples, on stb.
#pragma once

#include <bimtdp/core/error.hpp>
#include <bimtdp/image/image.hpp>
#include <bimtdp/io/read_file.hpp>
#include <bimtdp/io/write_file.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <ostream>
#include <span>
#include <string>

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_NO_STDIO
#define STBI_WRITE_NO_STDIO
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_MAX_DIMENSIONS 16384
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#endif
#include <stb/stb_image.h>
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#include <stb/stb_image_write.h>
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

namespace example {

using bimtdp::check;
using bimtdp::Image;

inline constexpr std::size_t max_photo_bytes = std::size_t{64} << 20;
inline constexpr std::size_t max_photo_pixels = std::size_t{64} << 20;

/// EXIF orientation of a JPEG file, 1 to 8; 1 (upright) where there is none. Reads inside `file` only.
[[nodiscard]] inline int orientation(std::span<const std::uint8_t> file) {
  const auto word = [&](std::size_t at, bool big) -> std::size_t {
    if (at + 2 > file.size()) return 0;
    return big ? std::size_t{file[at]} << 8 | file[at + 1] : std::size_t{file[at + 1]} << 8 | file[at];
  };
  const std::string exif("Exif\0\0", 6);
  std::size_t segment = 2;
  while (word(segment, true) >> 8 == 0xFF && word(segment, true) != 0xFFDA) {  // up to the start of the scan
    const std::size_t length = word(segment + 2, true), tiff = segment + 10;
    if (length < 2) break;
    if (word(segment, true) == 0xFFE1 && tiff + 8 < file.size() &&
        std::equal(exif.begin(), exif.end(), file.data() + segment + 4)) {
      const bool big = file[tiff] == 'M';
      const std::size_t high = word(tiff + (big ? 4 : 6), big), low = word(tiff + (big ? 6 : 4), big);
      const std::size_t directory = tiff + (high << 16 | low);
      for (std::size_t i = 0, entries = word(directory, big); i < entries; ++i) {
        const std::size_t entry = directory + 2 + 12 * i;
        const std::size_t value = word(entry + 8, big);
        if (word(entry, big) == 0x0112 && value >= 1 && value <= 8) return static_cast<int>(value);
      }
    }
    segment += 2 + length;
  }
  return 1;
}

/// The photo as the camera was held.
[[nodiscard]] inline Image upright(const Image& photo, int orientation) {
  if (orientation == 1) return photo;
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

/// Reads a JPEG or PNG photo as upright RGB. Throws Error, also for files and photos that are too large.
[[nodiscard]] inline Image read_photo(const std::filesystem::path& path) {
  const bimtdp::AlignedVector<std::byte> bytes = bimtdp::read_file(path, max_photo_bytes);
  const std::span file(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  int width = 0, height = 0, channels = 0;
  const int size = static_cast<int>(file.size());
  const bool known = stbi_info_from_memory(file.data(), size, &width, &height, &channels) != 0;  // before its failure_reason
  check(known, path.string(), "is no JPEG or PNG photo that can be read (", stbi_failure_reason(), ")");
  const std::size_t pixels = static_cast<std::size_t>(width) * static_cast<std::size_t>(height);
  check(pixels <= max_photo_pixels, path.string(), "is too large (got ", width, "x", height, ", expected at most ",
        max_photo_pixels, " pixels)");
  const std::unique_ptr<stbi_uc, void (*)(void*)> decoded(stbi_load_from_memory(file.data(), size, &width, &height, &channels, 3),
                                                          stbi_image_free);
  check(decoded != nullptr, path.string(), "cannot be decoded (", stbi_failure_reason(), ")");
  Image photo({static_cast<std::size_t>(height), static_cast<std::size_t>(width), 3});
  std::copy_n(decoded.get(), photo.span().size(), photo.data());
  return upright(photo, orientation(file));
}

/// Writes a PNG, or a JPEG where the name ends in .jpg. Throws Error when that fails.
inline void write_picture(const std::filesystem::path& path, const Image& picture) {
  const int height = static_cast<int>(picture.shape().height), width = static_cast<int>(picture.shape().width);
  const auto append = [](void* out, void* data, int size) {
    static_cast<std::ostream*>(out)->write(static_cast<const char*>(data), size);
  };
  bimtdp::write_file(path, [&](std::ostream& out) {
    const int encoded = path.extension() == ".jpg"
                            ? stbi_write_jpg_to_func(append, &out, width, height, 3, picture.data(), 90)
                            : stbi_write_png_to_func(append, &out, width, height, 3, picture.data(), 3 * width);
    check(encoded != 0, path.string(), "cannot be encoded");
  });
}

}  // namespace example
