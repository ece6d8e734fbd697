// SPDX-License-Identifier: Apache-2.0
// Reads regular files into memory, piece by piece where the first bytes tell whether the rest is wanted.
// A copy, not a mapping: the file may change or shrink later without harm, and vectors load aligned.
#pragma once

#include <bimtdp/core/aligned.hpp>
#include <bimtdp/core/error.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

namespace bimtdp {

/// The largest file that is read, in bytes.
inline constexpr std::uint64_t max_file_bytes = std::uint64_t{1} << 32;

/// An Error of a file that says what to do about it: "file: what (got X, expected Y); hint".
class FileError : public Error {
 public:
  using Error::Error;
};

/// Throws FileError("where: parts...") unless `condition` holds.
template <class... Parts>
void check_file(bool condition, std::string_view where, const Parts&... parts) {
  if (!condition) [[unlikely]]
    throw FileError(text_of(where, ": ", parts...));
}

/// A regular file that is open for reading.
class FileReader {
 public:
  /// Throws FileError when `path` is missing, a directory or another special file, cannot be opened or is larger than `max_bytes`.
  explicit FileReader(const std::filesystem::path& path, std::uint64_t max_bytes = max_file_bytes) : name_(path.string()) {
    namespace fs = std::filesystem;
    std::error_code code;
    const fs::file_status status = fs::status(path, code);
    check_file(fs::exists(status), name_, "cannot open (got '", code ? code.message() : "no such file",
               "', expected a file); is the path right?");
    check_file(!fs::is_directory(status), name_, "is a directory (expected a file); name a file in it");
    check_file(fs::is_regular_file(status), name_,
               "is not a regular file (got a device, pipe or socket, expected a file); copy it "
               "to a file first");
    stream_.open(path, std::ios::binary);
    check_file(stream_.is_open(), name_, "cannot open for reading (expected a file that may be read); are the permissions right?");
    bytes_ = fs::file_size(path, code);
    check_file(!code, name_, "cannot tell the size (got '", code.message(), "'); is it a file on a disk?");
    check_file(bytes_ <= max_bytes && bytes_ <= SIZE_MAX / 2, name_, "file too large (got ", bytes_, " bytes, expected at most ",
               max_bytes, "); is it the right file?");
  }

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

  /// Fills `out` with the bytes from `offset` on. Throws FileError when the file ends or fails there.
  void read(std::uint64_t offset, std::span<std::byte> out) {
    stream_.seekg(static_cast<std::streamoff>(offset));
    stream_.read(reinterpret_cast<char*>(out.data()), static_cast<std::streamsize>(out.size()));
    const auto got = static_cast<std::uint64_t>(std::max<std::streamsize>(stream_.gcount(), 0));
    check_file(got == out.size(), name_, "reading stopped early (got ", got, " bytes from byte ", offset, " on, expected ",
               out.size(), "); is another program writing it?");
  }

  /// Throws FileError when the file is longer now than it was when it was opened.
  void finish() {
    stream_.seekg(static_cast<std::streamoff>(bytes_));
    check_file(stream_.peek() == std::ifstream::traits_type::eof(), name_, "the file grew while being read (expected ", bytes_,
               " bytes); is another program writing it?");
  }

 private:
  std::string name_;
  std::ifstream stream_;
  std::uint64_t bytes_ = 0;
};

/// The bytes of the regular file `path`. Throws Error as FileReader does.
[[nodiscard]] inline AlignedVector<std::byte> read_file(const std::filesystem::path& path,
                                                        std::uint64_t max_bytes = max_file_bytes) {
  FileReader file(path, max_bytes);
  AlignedVector<std::byte> buffer(static_cast<std::size_t>(file.bytes()));
  file.read(0, buffer);
  file.finish();
  return buffer;
}

}  // namespace bimtdp
