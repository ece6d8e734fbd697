// SPDX-License-Identifier: Apache-2.0
// EXIF orientation. scripts/bimtdp_torch/data/photo_files.py follows the same rules; a test holds the two together.
#pragma once

#include "bytes.hpp"

#include <cstddef>
#include <cstdint>

namespace example::photo {

/// Orientation, 1 to 8, in the first directory of an EXIF block (TIFF header, directory, entries of 12 bytes): a SHORT or a
/// LONG. 1, upright, where the block has none or is damaged: metadata do not make a photo unreadable. Linear in the block.
[[nodiscard]] inline int exif_orientation(Bytes tiff) {
  if (tiff.size() < 8 || tiff[0] != tiff[1] || (tiff[0] != 'I' && tiff[0] != 'M')) return 1;
  const bool big = tiff[0] == 'M';
  const auto number = [&](std::size_t at, std::size_t bytes) {
    std::size_t value = 0;
    for (std::size_t i = 0; i < bytes; ++i) value = value << 8 | tiff[at + (big ? i : bytes - 1 - i)];
    return value;
  };
  const std::size_t directory = number(4, 4);
  if (number(2, 2) != 42 || directory > tiff.size() - 2) return 1;
  const std::size_t entries = number(directory, 2);
  for (std::size_t i = 0, at = directory + 2; i < entries && at + 12 <= tiff.size(); ++i, at += 12) {
    if (number(at, 2) != 0x0112) continue;
    const std::size_t type = number(at + 2, 2), count = number(at + 4, 4);
    if (count != 1 || (type != 3 && type != 4)) return 1;
    const std::size_t value = number(at + 8, type == 3 ? 2 : 4);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

}  // namespace example::photo
