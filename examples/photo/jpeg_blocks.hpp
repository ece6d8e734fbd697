// SPDX-License-Identifier: Apache-2.0
// Reads the coefficients of JPEG blocks (ITU-T T.81, annexes F and G) to see that they are all there; keeps no pixels.
#pragma once

#include "jpeg_huffman.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

namespace example::photo {

/// Sum of a block's dequantised coefficients, without their signs, that no 8-bit picture exceeds: 1024 is the length of a
/// block's coefficients as a vector, 8 * 1024 the sum, rounding may double it, encoders that sharpen exceed the range by a
/// quarter. Up to 30,000 no decoder's integers overflow.
inline constexpr std::uint64_t max_block_sum = 24576;

/// A colour component and how far its coefficients are read.
struct Component {
  std::size_t id = 0, horizontal = 1, vertical = 1, quantiser = 0;
  std::size_t blocks_wide = 0, blocks_high = 0;  ///< that hold pixels
  std::size_t padded_wide = 0, padded_high = 0;  ///< whole units of an interleaved scan
  std::array<std::uint16_t, 64> steps{};         ///< quantisation, in zigzag order, as at its first scan
  bool begun = false;
  static constexpr int unread = -1;
  std::array<int, 64> low_bit = filled();  ///< lowest bit read of each coefficient: unread, or 0 where all of it is
  std::vector<std::uint64_t> nonzero;      ///< progressive: a bit for each coefficient of a block
  std::vector<std::uint32_t> sums;         ///< progressive: as max_block_sum says
  int predicted = 0;                       ///< DC value of the block before

  static std::array<int, 64> filled() {
    std::array<int, 64> all{};
    all.fill(unread);
    return all;
  }
};

/// What a scan holds: coefficients `first` to `last`, down to bit `low`; a refinement adds one bit.
struct ScanKind {
  bool progressive = false, refinement = false;
  std::size_t first = 0, last = 63, low = 0;
};

/// Reads the blocks of one restart interval. Every function says whether the block is sound.
class BlockReader {
 public:
  BlockReader(Bytes data, const ScanKind& kind) : bits_(data), kind_(kind) {}

  [[nodiscard]] const BitReader& bits() const { return bits_; }
  /// Blocks that the last run of empty blocks still covers; 0 at the end of an interval.
  [[nodiscard]] std::size_t empty_blocks() const { return empty_blocks_; }

  /// The block `index` (of the padded ones) of a component.
  [[nodiscard]] bool read(Component& component, std::size_t index, const HuffmanTable* dc, const HuffmanTable* ac) {
    sum_ = kind_.progressive ? component.sums[index] : 0;
    bool sound = true;
    if (!kind_.progressive)
      sound = read_dc(component, *dc) && read_ac(component, *ac, nullptr);
    else if (kind_.first == 0)
      sound = kind_.refinement ? refine_dc(component) : read_dc(component, *dc);
    else
      sound = kind_.refinement ? refine_ac(component, *ac, component.nonzero[index])
                               : read_ac(component, *ac, &component.nonzero[index]);
    if (kind_.progressive) component.sums[index] = static_cast<std::uint32_t>(sum_);
    return sound && sum_ <= max_block_sum && !bits_.exhausted();
  }

 private:
  /// T.81, figure F.12: `bits` bits as a signed value.
  int value(std::size_t bits) {
    const int read = static_cast<int>(bits_.get(bits));
    return bits > 0 && read < 1 << (bits - 1) ? read - (1 << bits) + 1 : read;
  }

  void add(const Component& component, std::size_t k, int value) {
    sum_ += (static_cast<std::uint64_t>(std::abs(value)) << kind_.low) * component.steps[k];
  }

  bool read_dc(Component& component, const HuffmanTable& table) {
    const int size = table.read(bits_);
    if (size < 0 || size > 11) return false;
    component.predicted += value(static_cast<std::size_t>(size));
    add(component, 0, component.predicted);
    return sum_ <= max_block_sum;  // so the prediction does not grow without end
  }

  bool refine_dc(const Component& component) {
    add(component, 0, static_cast<int>(bits_.get(1)));
    return true;
  }

  /// First bits of the AC coefficients, of all or, progressive, of a band; those that are not zero are noted in `nonzero`.
  bool read_ac(const Component& component, const HuffmanTable& table, std::uint64_t* nonzero) {
    if (empty_blocks_ > 0) {
      --empty_blocks_;
      return true;
    }
    for (std::size_t k = kind_.first + (kind_.first == 0); k <= kind_.last;) {
      const int symbol = table.read(bits_);
      if (symbol < 0) return false;
      const auto zeros = static_cast<std::size_t>(symbol >> 4), size = static_cast<std::size_t>(symbol & 15);
      if (size == 0 && zeros < 15) return end_of_band(zeros);
      k += zeros;
      if (k > kind_.last || size > 10) return false;
      if (size > 0) {
        add(component, k, value(size));
        if (nonzero != nullptr) *nonzero |= std::uint64_t{1} << k;
      }
      ++k;
    }
    return true;
  }

  /// The rest of this block is zero and, progressive, so are blocks that follow.
  bool end_of_band(std::size_t bits) {
    if (!kind_.progressive) return bits == 0;
    empty_blocks_ = (std::size_t{1} << bits) + bits_.get(bits) - 1;
    return true;
  }

  /// T.81, figure G.7: one bit more of a band, and coefficients that it makes one or minus one.
  bool refine_ac(const Component& component, const HuffmanTable& table, std::uint64_t& nonzero) {
    std::size_t k = kind_.first;
    if (empty_blocks_ > 0) {
      --empty_blocks_;
      skip_zeros(component, nonzero, k, 64);
      return true;
    }
    for (; k <= kind_.last; ++k) {
      const int symbol = table.read(bits_);
      if (symbol < 0 || (symbol & 15) > 1) return false;
      const auto zeros = static_cast<std::size_t>(symbol >> 4), size = static_cast<std::size_t>(symbol & 15);
      if (size == 0 && zeros < 15) {
        static_cast<void>(end_of_band(zeros));  // its length stands before the bits of this block
        skip_zeros(component, nonzero, k, 64);
        return true;
      }
      bits_.skip(size);  // its sign
      skip_zeros(component, nonzero, k, zeros);
      if (k > kind_.last) return false;
      if (size > 0) {
        add(component, k, 1);
        nonzero |= std::uint64_t{1} << k;
      }
    }
    return true;
  }

  /// Moves `k` over `zeros` coefficients that are zero to the next one that is, and reads a bit for each other one between.
  void skip_zeros(const Component& component, std::uint64_t nonzero, std::size_t& k, std::size_t zeros) {
    for (; k <= kind_.last; ++k) {
      if ((nonzero >> k & 1) != 0)
        add(component, k, static_cast<int>(bits_.get(1)));
      else if (zeros-- == 0)
        return;
    }
  }

  BitReader bits_;
  const ScanKind& kind_;
  std::size_t empty_blocks_ = 0;
  std::uint64_t sum_ = 0;
};

}  // namespace example::photo
