// SPDX-License-Identifier: Apache-2.0
// Fuzzes the walks over photos and the decoders behind them: any bytes give an Error or a photo, what a walk lets through every
// decoder decodes, and of a PNG all make the same pixels. Checksums of mutated PNG files are set right, so that they get in.
#include "../../examples/photo/libjpeg.hpp"
#include "../../examples/photo/libpng.hpp"
#include "../../examples/photo/read_photo.hpp"

#include <zlib.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

namespace {

using namespace example::photo;

constexpr std::size_t max_decoded_pixels = std::size_t{1} << 14;  // the walk alone sees larger ones
constexpr std::size_t max_walked_pixels = std::size_t{1} << 18;   // of PNG

void require(bool condition) {
  if (!condition) std::abort();
}

std::size_t u32(std::span<const std::uint8_t> at) {
  return static_cast<std::size_t>(at[0]) << 24 | static_cast<std::size_t>(at[1] << 16 | at[2] << 8 | at[3]);
}

void set_u32(std::span<std::uint8_t> at, unsigned long value) {
  for (std::size_t i = 0; i < 4; ++i) at[i] = static_cast<std::uint8_t>(value >> (24 - 8 * i));
}

/// Sets the checksum behind a zlib stream, as far as it can be inflated.
void repair_stream(std::span<std::uint8_t> stream) {
  if (stream.size() < 6) return;
  std::vector<std::uint8_t> out(std::size_t{1} << 16);
  z_stream state{};
  if (inflateInit2(&state, -15) != Z_OK) return;
  state.next_in = stream.data() + 2;
  state.avail_in = static_cast<unsigned>(stream.size() - 2);
  state.next_out = out.data();
  state.avail_out = static_cast<unsigned>(out.size());
  const bool whole = inflate(&state, Z_FINISH) == Z_STREAM_END;
  const std::size_t end = 2 + state.total_in, made = state.total_out;
  inflateEnd(&state);
  if (whole && end + 4 <= stream.size()) set_u32(stream.subspan(end), adler32(1, out.data(), static_cast<unsigned>(made)));
}

void repair_png(std::span<std::uint8_t> file) {
  for (std::size_t at = 8; at + 12 <= file.size();) {
    const std::size_t length = u32(file.subspan(at));
    if (length > file.size() - at - 12) return;
    const std::span<std::uint8_t> chunk = file.subspan(at + 4, 4 + length);
    if (std::equal(chunk.begin(), chunk.begin() + 4, "IDAT")) repair_stream(chunk.subspan(4));
    set_u32(file.subspan(at + 8 + length), crc32(0, chunk.data(), static_cast<unsigned>(chunk.size())));
    at += 12 + length;
  }
}

/// Whether a file is a PNG that is large and yet not too large: some kilobytes may inflate to megabytes for half a second.
bool is_slow(std::span<const std::uint8_t> file) {
  if (file.size() < 24 || !std::equal(png_signature.begin(), png_signature.end(), file.begin())) return false;
  const std::size_t pixels = u32(file.subspan(16)) * u32(file.subspan(20));
  return pixels > max_walked_pixels && pixels <= max_photo_pixels;
}

}  // namespace

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned) {
  size = LLVMFuzzerMutate(data, size, max_size);
  if (size > 8 && std::equal(data, data + 4, png_signature.begin())) repair_png({data, size});
  return size;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (is_slow({data, size})) return 0;
  WalkedPhoto walked;
  try {
    walked = walk("photo", {data, size});
  } catch (const bimtdp::Error&) {
    return 0;
  }
  require(walked.orientation >= 1 && walked.orientation <= 8);
  if (walked.width * walked.height > max_decoded_pixels) return 0;
  require(walk("photo", walked.clean).clean == walked.clean);
  const bimtdp::Image by_stb = decode_with_stb("photo", walked);  // an Error is a finding
  const bool is_png = format_of("photo", walked.clean) == Format::png;
  const bimtdp::Image by_library = is_png ? decode_with_libpng("photo", walked) : decode_with_libjpeg("photo", walked);
  require(by_stb.shape() == by_library.shape());
  require(!is_png || std::ranges::equal(by_stb.span(), by_library.span()));
  static_cast<void>(example::upright(by_stb, walked.orientation));
  return 0;
}
