// SPDX-License-Identifier: Apache-2.0
// Writes a whole file and notices every failure, also the one that a full disk reports only at the end.
#pragma once

#include <bimtdp/core/error.hpp>

#include <filesystem>
#include <fstream>
#include <utility>

namespace bimtdp {

/// Calls write(std::ostream&) on the emptied or new binary file `path` and closes it. Throws Error when any of that fails.
template <class Write>
void write_file(const std::filesystem::path& path, Write&& write) {
  std::ofstream file(path, std::ios::binary);
  std::forward<Write>(write)(file);
  file.close();
  check(!file.fail(), path.string(), "cannot be written");
}

}  // namespace bimtdp
