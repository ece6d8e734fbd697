// SPDX-License-Identifier: Apache-2.0
// stb_image for JPEG and PNG from memory: the decoder that needs no library. It gets only what a walk has cleaned.
#pragma once

#include "bytes.hpp"

#include <bimtdp/image/image.hpp>

#include <algorithm>
#include <memory>
#include <string>

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_NO_STDIO
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_MAX_DIMENSIONS (1 << 26)  // max_photo_pixels: a photo may be one pixel high
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#endif
#include <stb/stb_image.h>
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

namespace example::photo {

/// The pixels of a walked photo. Throws Error where the decoder cannot make them, for want of memory.
[[nodiscard]] inline bimtdp::Image decode_with_stb(const std::string& where, const WalkedPhoto& walked) {
  int width = 0, height = 0, channels = 0;
  const std::unique_ptr<stbi_uc, void (*)(void*)> decoded(
      stbi_load_from_memory(walked.clean.data(), static_cast<int>(walked.clean.size()), &width, &height, &channels, 3),
      stbi_image_free);
  if (decoded == nullptr) bimtdp::fail(where, "stb_image cannot decode it: ", stbi_failure_reason());
  bimtdp::Image photo({walked.height, walked.width, 3});
  bimtdp::demand(static_cast<std::size_t>(width) == walked.width && static_cast<std::size_t>(height) == walked.height, where,
                 "stb_image gives another size");
  std::copy_n(decoded.get(), photo.span().size(), photo.data());
  return photo;
}

}  // namespace example::photo
