// SPDX-License-Identifier: Apache-2.0
// DeflateCode: a Huffman code of deflate (RFC 1951, section 3.2.2).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace example::photo {

/// A code of deflate: symbols of 1 to 15 bits, read from their first bit on.
class DeflateCode {
 public:
  /// From the length of each symbol's code, 0 for none. False where they make no code: zlib wants every string of bits to be
  /// used, but for one symbol alone in a code of distances or lengths.
  bool assign(std::span<const std::uint8_t> lengths, bool one_is_enough) {
    counts_.fill(0);
    for (const std::uint8_t length : lengths) ++counts_[length];
    counts_[0] = 0;
    std::array<std::uint16_t, 16> next{};
    int left = 1;
    std::uint16_t used = 0;
    for (std::size_t length = 1; length < 16; ++length) {
      left = 2 * left - counts_[length];
      if (left < 0) return false;
      next[length] = used;
      used = static_cast<std::uint16_t>(used + counts_[length]);
    }
    symbols_.resize(used);
    for (std::size_t symbol = 0; symbol < lengths.size(); ++symbol)
      if (lengths[symbol] > 0) symbols_[next[lengths[symbol]]++] = static_cast<std::uint16_t>(symbol);
    fill_fast();
    return left == 0 || (one_is_enough && used <= 1 && counts_[1] == used);
  }

  /// Symbol and length of the code that the low bits of `bits` begin with; length 0 where there is none.
  [[nodiscard]] std::pair<std::uint32_t, std::uint32_t> find(std::uint64_t bits) const {
    if (const std::uint16_t entry = fast_[bits & (fast_.size() - 1)]; entry != 0) [[likely]]
      return {entry >> 4, entry & 15};
    std::int32_t code = 0, first = 0, index = 0;
    for (std::uint32_t length = 1; length < 16; ++length) {
      code |= static_cast<std::int32_t>(bits >> (length - 1) & 1);
      const std::int32_t count = counts_[length];
      if (code - first < count) return {symbols_[static_cast<std::size_t>(index + code - first)], length};
      index += count;
      first = (first + count) << 1;
      code <<= 1;
    }
    return {0, 0};
  }

 private:
  static constexpr std::uint32_t fast_bits = 9;

  void fill_fast() {
    fast_.fill(0);
    std::uint32_t code = 0;
    std::size_t index = 0;
    for (std::uint32_t length = 1; length <= fast_bits; ++length, code <<= 1)
      for (std::uint16_t i = 0; i < counts_[length]; ++i, ++code, ++index) {
        std::uint32_t reversed = 0;
        for (std::uint32_t bit = 0; bit < length; ++bit) reversed |= (code >> bit & 1) << (length - 1 - bit);
        for (; reversed < fast_.size(); reversed += 1U << length)
          fast_[reversed] = static_cast<std::uint16_t>(std::uint32_t{symbols_[index]} << 4 | length);
      }
  }

  std::array<std::uint16_t, 16> counts_{};             ///< symbols of each length
  std::vector<std::uint16_t> symbols_;                 ///< in the order of their codes
  std::array<std::uint16_t, 1U << fast_bits> fast_{};  ///< symbol << 4 | length
};

}  // namespace example::photo
