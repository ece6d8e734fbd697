// SPDX-License-Identifier: Apache-2.0
// Tells what a file is that should have been a safetensors file, so that the message names the cause.
#pragma once

#include <bimtdp/core/error.hpp>

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
  check(!starts("version https://git-lfs"), file,
        "is a git-LFS pointer, not the model itself (got a text file; fetch the model with `git lfs pull`)");
  check(!starts("<!doctype") && !starts("<html") && !starts("<?xml"), file,
        "is an HTML page, not a model (got a web page; download the raw file)");
  check(!starts("pk\x03\x04"), file, "is a zip archive, probably a PyTorch checkpoint (convert it with scripts/convert.py)");
  const bool pickle = bytes.size() >= 2 && bytes[0] == std::byte{0x80} && bytes[1] >= std::byte{1} && bytes[1] <= std::byte{5};
  check(!pickle, file, "is a Python pickle, probably a PyTorch checkpoint (convert it with scripts/convert.py)");
}

}  // namespace detail

/// Checks the first bytes of a safetensors file and returns the header's length. Throws Error for an empty or short file,
/// another format, an implausible length or a file that ends inside its header.
[[nodiscard]] inline std::uint64_t check_safetensors_start(std::span<const std::byte> bytes, std::string_view file,
                                                           std::uint64_t max_header) {
  check(!bytes.empty(), file, "is empty (got 0 bytes)");
  const bool brace = bytes.size() > 8 && bytes[8] == std::byte{'{'};
  if (!brace) detail::name_wrong_format(bytes, file);
  check(bytes.size() >= 10, file, "too short for a safetensors file (got ", bytes.size(), " bytes, expected at least 10)");
  std::uint64_t header = 0;
  for (std::size_t i = 0; i < 8; ++i) header |= std::to_integer<std::uint64_t>(bytes[i]) << (8 * i);
  check(brace, file, "is not a safetensors file: wrong magic (got byte ", std::to_integer<int>(bytes[8]),
        " at position 8, expected '{')");
  check(header >= 2 && header <= max_header, file, "implausible header length (got ", header, ", expected 2 to ", max_header, ")");
  check(header <= bytes.size() - 8, file, "truncated file: ends inside the header (got ", bytes.size(),
        " bytes, expected at least ", header + 8, ")");
  return header;
}

}  // namespace bimtdp
