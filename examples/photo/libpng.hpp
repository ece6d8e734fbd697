// SPDX-License-Identifier: Apache-2.0
// PNG by libpng, faster than stb_image; it gets only what a walk has cleaned.
#pragma once

#include "bytes.hpp"

#include <bimtdp/image/image.hpp>

#include <algorithm>
#include <csetjmp>
#include <string>
#include <vector>

#include <png.h>

namespace example::photo {

namespace detail {

struct PngSource {
  Bytes left;
  std::string message;
};

[[noreturn]] inline void png_failed(png_structp state, png_const_charp message) {
  static_cast<PngSource*>(png_get_error_ptr(state))->message = message;
  png_longjmp(state, 1);
}

inline void read_png_bytes(png_structp state, png_bytep to, std::size_t count) {
  auto* source = static_cast<PngSource*>(png_get_io_ptr(state));
  if (count > source->left.size()) png_error(state, "the file ends");
  std::copy_n(source->left.data(), count, to);
  source->left = source->left.subspan(count);
}

/// Decodes to rows of RGB. Has nothing that a jump would not destroy. False: failed.
inline bool decode_rows(png_structp state, png_infop info, PngSource& source, png_bytep* rows) {
  if (setjmp(png_jmpbuf(state)) != 0) return false;
  png_set_user_limits(state, PNG_UINT_31_MAX, PNG_UINT_31_MAX);  // the walk has its own
  png_set_read_fn(state, &source, read_png_bytes);
  png_read_info(state, info);
  png_set_expand(state);
  png_set_strip_16(state);
  png_set_strip_alpha(state);
  png_set_gray_to_rgb(state);
  png_read_image(state, rows);
  return true;
}

}  // namespace detail

/// The pixels of a walked PNG.
[[nodiscard]] inline bimtdp::Image decode_with_libpng(const std::string& where, const WalkedPhoto& walked) {
  bimtdp::Image photo({walked.height, walked.width, 3});
  std::vector<png_bytep> rows(walked.height);
  for (std::size_t y = 0; y < rows.size(); ++y) rows[y] = photo.data() + 3 * y * walked.width;
  detail::PngSource source{walked.clean, {}};
  png_structp state =
      png_create_read_struct(PNG_LIBPNG_VER_STRING, &source, detail::png_failed, [](png_structp, png_const_charp) {});
  png_infop info = state != nullptr ? png_create_info_struct(state) : nullptr;
  const bool decoded = info != nullptr && detail::decode_rows(state, info, source, rows.data());
  png_destroy_read_struct(&state, &info, nullptr);
  bimtdp::demand(decoded, where, "libpng cannot decode it: ", source.message.empty() ? "out of memory" : source.message);
  return photo;
}

}  // namespace example::photo
