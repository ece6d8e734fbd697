// SPDX-License-Identifier: Apache-2.0
// JPEG by libjpeg (libjpeg-turbo), faster than stb_image; it gets only what a walk has cleaned.
#pragma once

#include "bytes.hpp"

#include <bimtdp/image/image.hpp>

#include <csetjmp>
#include <cstdio>  // jpeglib.h needs it first
#include <string>

#include <jpeglib.h>

namespace example::photo {

namespace detail {

/// libjpeg's errors end in a jump back to `decode_rows`: no exception may pass through C code.
struct JpegFailure {
  jpeg_error_mgr manager{};
  std::jmp_buf jump{};
  char message[JMSG_LENGTH_MAX]{};
};

[[noreturn]] inline void jump_out(j_common_ptr state) {
  auto* failure = static_cast<JpegFailure*>(state->client_data);
  state->err->format_message(state, failure->message);
  std::longjmp(failure->jump, 1);
}

/// Decodes to rows of RGB, or of inverted CMYK, `row_bytes` apart. Has nothing that a jump would not destroy. False: failed.
inline bool decode_rows(jpeg_decompress_struct& state, JpegFailure& failure, Bytes file, std::uint8_t* pixels, bool cmyk) {
  if (setjmp(failure.jump) != 0) return false;
  jpeg_create_decompress(&state);
  jpeg_mem_src(&state, file.data(), static_cast<unsigned long>(file.size()));
  jpeg_read_header(&state, TRUE);
  state.out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
  jpeg_start_decompress(&state);
  const std::size_t row_bytes = std::size_t{state.output_width} * (cmyk ? 4 : 3);
  while (state.output_scanline < state.output_height) {
    JSAMPROW row = pixels + state.output_scanline * row_bytes;
    jpeg_read_scanlines(&state, &row, 1);
  }
  return true;
}

}  // namespace detail

/// The pixels of a walked JPEG. CMYK is stored inverted and meets white paper: R = C K / 255.
[[nodiscard]] inline bimtdp::Image decode_with_libjpeg(const std::string& where, const WalkedPhoto& walked) {
  const bool cmyk = walked.channels == 4;
  bimtdp::Image photo({walked.height, walked.width, 3});
  ByteList inks(cmyk ? 4 * walked.height * walked.width : 0);
  jpeg_decompress_struct state{};
  detail::JpegFailure failure;
  state.err = jpeg_std_error(&failure.manager);
  state.err->error_exit = detail::jump_out;
  state.err->output_message = [](j_common_ptr) {};
  state.client_data = &failure;
  const bool decoded = detail::decode_rows(state, failure, walked.clean, cmyk ? inks.data() : photo.data(), cmyk);
  const long warnings = state.err->num_warnings;
  jpeg_destroy_decompress(&state);
  if (!decoded || warnings > 0) bimtdp::fail(where, "libjpeg cannot decode it: ", decoded ? "damaged" : failure.message);
  for (std::size_t i = 0; i < inks.size(); i += 4)
    for (std::size_t c = 0; c < 3; ++c)
      photo.data()[i / 4 * 3 + c] = static_cast<std::uint8_t>((inks[i + c] * inks[i + 3] + 127) / 255);
  return photo;
}

}  // namespace example::photo
