// SPDX-License-Identifier: Apache-2.0
// Reads a whole regular file into 64-byte aligned memory.
// A copy, not a mapping: the file may change or shrink later without harm, and vectors load aligned.
#pragma once

#include <bimtdp/core/aligned.hpp>
#include <bimtdp/core/error.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

namespace bimtdp {

/// The largest file that is read, in bytes.
inline constexpr std::uint64_t max_file_bytes = std::uint64_t{1} << 32;

/// The bytes of the regular file `path`. Throws Error when it is missing, a directory or another special file, cannot
/// be opened, is larger than `max_bytes`, or changes its size while being read.
[[nodiscard]] inline AlignedVector<std::byte> read_file(const std::filesystem::path& path,
                                                        std::uint64_t max_bytes = max_file_bytes) {
  namespace fs = std::filesystem;
  const std::string where = path.string();
  std::error_code code;
  const fs::file_status status = fs::status(path, code);
  check(fs::exists(status), where, "cannot open: ", code ? code.message() : "no such file");
  check(!fs::is_directory(status), where, "is a directory, expected a file");
  check(fs::is_regular_file(status), where, "is not a regular file");

  std::ifstream stream(path, std::ios::binary);
  check(stream.is_open(), where, "cannot open for reading (are the permissions right?)");
  const std::uint64_t bytes = fs::file_size(path, code);
  check(!code, where, "cannot tell the size: ", code.message());
  check(bytes <= max_bytes && bytes <= SIZE_MAX / 2, where, "file too large (got ", bytes, " bytes, expected at most ", max_bytes,
        ")");

  AlignedVector<std::byte> buffer(static_cast<std::size_t>(bytes));
  stream.read(reinterpret_cast<char*>(buffer.data()), static_cast<std::streamsize>(bytes));
  check_equal(static_cast<std::uint64_t>(stream.gcount()), bytes, where, "reading stopped early: bytes read");
  check(stream.peek() == std::ifstream::traits_type::eof(), where, "the file grew while being read");
  return buffer;
}

}  // namespace bimtdp
