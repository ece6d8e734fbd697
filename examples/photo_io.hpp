// SPDX-License-Identifier: Apache-2.0
// Photos in (photo/read_photo.hpp) and pictures out (JPEG, PNG, by stb) for the examples.
#pragma once

#include "photo/read_photo.hpp"

#include <bimtdp/core/error.hpp>
#include <bimtdp/image/image.hpp>
#include <bimtdp/io/write_file.hpp>

#include <filesystem>
#include <ostream>
#include <string>

#define STBI_WRITE_NO_STDIO
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#endif
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#include <stb/stb_image_write.h>
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

namespace example {

using bimtdp::demand;

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
    demand(encoded != 0, path.string(), "cannot be encoded");
  });
}

}  // namespace example
