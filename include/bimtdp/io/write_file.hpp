// SPDX-License-Identifier: Apache-2.0
// Writes a whole file or none: under a temporary name, which becomes the file's when everything is written. Every failure is
// noticed, also the one that a full disk reports only at the end.
#pragma once

#include <bimtdp/core/error.hpp>

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <system_error>
#include <utility>

namespace bimtdp {

namespace detail {

/// Calls write(std::ostream&) on the emptied or new binary file `path` and closes it. Throws Error, which speaks of `name`.
template <class Write>
void write_stream(const std::filesystem::path& path, const std::string& name, Write&& write) {
  errno = 0;
  std::ofstream file(path, std::ios::binary);
  if (file.is_open()) std::forward<Write>(write)(file);
  file.close();
  const int reason = errno;
  demand(!file.fail(), name, "cannot be written (", reason == 0 ? "no reason given" : std::generic_category().message(reason), ")");
}

/// Removes the file at the end, where it still is.
struct TemporaryFile {
  std::filesystem::path path;
  explicit TemporaryFile(std::filesystem::path p) : path(std::move(p)) {}
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() {
    std::error_code ignored;
    std::filesystem::remove(path, ignored);
  }
};

}  // namespace detail

/// Calls write(std::ostream&) on a binary file, which then takes the place of `path` (of the file behind a symbolic link). Throws
/// Error when any of that fails; what was at `path` is then as it was. A device or pipe is written directly.
template <class Write>
void write_file(const std::filesystem::path& path, Write&& write) {
  namespace fs = std::filesystem;
  const std::string name = path.string();
  std::error_code code;
  const fs::path target = fs::is_symlink(path, code) && fs::exists(path, code) ? fs::canonical(path, code) : path;
  const fs::file_status status = fs::status(target, code);
  if (fs::exists(status) && !fs::is_regular_file(status) && !fs::is_directory(status))
    return detail::write_stream(target, name, std::forward<Write>(write));

  fs::path temporary = target;
  temporary += "." + std::to_string(std::random_device{}()) + ".tmp";
  const detail::TemporaryFile guard(temporary);
  detail::write_stream(temporary, name, std::forward<Write>(write));
  fs::rename(temporary, target, code);
  demand(!code, name, "cannot be written (", code.message(), ")");
}

}  // namespace bimtdp
