// SPDX-License-Identifier: Apache-2.0
// Tells what a file is that should have been a safetensors file, so that the message names the cause.
#pragma once

#include <bimtdp/io/read_file.hpp>

#include <cctype>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace bimtdp {

namespace detail {

[[nodiscard]] inline std::string lower_start(std::span<const std::byte> bytes, std::size_t count) {
  std::string text;
  for (const std::byte b : bytes) {
    const auto c = std::to_integer<unsigned char>(b);
    if (text.empty() && std::isspace(c)) continue;
    text.push_back(static_cast<char>(std::tolower(c)));
    if (text.size() == count) break;
  }
  return text;
}

/// Throws the Error that names what these bytes are; returns if it cannot tell.
inline void name_wrong_format(std::span<const std::byte> bytes, std::string_view file) {
  const std::string text = lower_start(bytes, 64);
  const auto starts = [&](std::string_view prefix) { return std::string_view(text).substr(0, prefix.size()) == prefix; };
  check_file(
      !starts("version https://git-lfs"), file,
      "is a git-LFS pointer, not the model itself (got a text file, expected a safetensors file); fetch it with `git lfs pull`");
  check_file(!starts("<!doctype") && !starts("<html") && !starts("<?xml"), file,
             "is an HTML page, not a model (got a web page, expected a safetensors file); download the raw file");
  check_file(!starts("pk\x03\x04"), file,
             "is a zip archive, probably a PyTorch checkpoint (got 'PK', expected a safetensors file); convert it with "
             "scripts/convert.py");
  const bool pickle = bytes.size() >= 2 && bytes[0] == std::byte{0x80} && bytes[1] >= std::byte{1} && bytes[1] <= std::byte{5};
  check_file(!pickle, file,
             "is a Python pickle, probably a PyTorch checkpoint (got byte 128, expected a safetensors file); convert it with "
             "scripts/convert.py");
}

}  // namespace detail

/// Bytes at the beginning of a file that tell what it is.
inline constexpr std::size_t sniffed_bytes = 256;

/// Checks the beginning of a file of `total` bytes and returns the length of the safetensors header. Throws FileError for an
/// empty or short file, another format, an implausible length or a file that ends inside its header.
[[nodiscard]] inline std::uint64_t check_safetensors_start(std::span<const std::byte> start, std::uint64_t total,
                                                           std::string_view file, std::uint64_t max_header) {
  check_file(total > 0, file, "is empty (got 0 bytes, expected a safetensors file); fetch it again");
  const bool brace = start.size() > 8 && start[8] == std::byte{'{'};
  if (!brace) detail::name_wrong_format(start, file);
  check_file(total >= 10, file, "too short for a safetensors file (got ", total, " bytes, expected at least 10); fetch it again");
  std::uint64_t header = 0;
  for (std::size_t i = 0; i < 8; ++i) header |= std::to_integer<std::uint64_t>(start[i]) << (8 * i);
  check_file(brace, file, "is not a safetensors file: wrong magic (got byte ", std::to_integer<int>(start[8]),
             " at position 8, expected '{'); is it the right file?");
  check_file(header >= 2 && header <= max_header, file, "implausible header length (got ", header, ", expected 2 to ", max_header,
             "); fetch it again");
  check_file(header <= total - 8, file, "truncated file: ends inside the header (got ", total, " bytes, expected at least ",
             header + 8, "); fetch it again");
  return header;
}

}  // namespace bimtdp
