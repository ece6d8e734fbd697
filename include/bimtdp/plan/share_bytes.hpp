// SPDX-License-Identifier: Apache-2.0
// share_bytes: offsets for blocks of memory that may share bytes because they are not needed at the same time.
#pragma once

#include <bimtdp/core/aligned.hpp>
#include <bimtdp/core/checked.hpp>

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <vector>

namespace bimtdp {

/// A stretch of memory needed from time `first` to time `last`, both included.
struct Block {
  std::size_t bytes = 0;
  std::size_t first = 0, last = 0;
  std::size_t offset = 0;  ///< found by share_bytes()
};

/// Gives the blocks offsets, largest first, each at the lowest place where no block of an overlapping lifetime lies; offsets are
/// multiples of 64. Returns the bytes they take together.
[[nodiscard]] inline Checked share_bytes(std::vector<Block>& blocks) {
  for (Block& block : blocks) block.bytes = Checked(block.bytes).align_up(alignment).size();
  std::vector<std::size_t> order(blocks.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return blocks[a].bytes > blocks[b].bytes; });
  std::vector<const Block*> placed;  // by offset
  Checked total = 0;
  for (const std::size_t index : order) {
    Block& block = blocks[index];
    Checked offset = 0;
    for (const Block* other : placed) {
      if (other->last < block.first || block.last < other->first) continue;
      if ((offset + block.bytes).value() <= other->offset) break;
      offset = (std::max)(offset, Checked(other->offset) + other->bytes);
    }
    block.offset = offset.size();
    total = (std::max)(total, offset + block.bytes);
    const auto after = [](std::size_t value, const Block* b) { return value < b->offset; };
    placed.insert(std::upper_bound(placed.begin(), placed.end(), block.offset, after), &block);
  }
  return total;
}

}  // namespace bimtdp
