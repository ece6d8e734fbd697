// SPDX-License-Identifier: Apache-2.0
// Huffman codes of JPEG (ITU-T T.81, annexes C and K.3): a table, its standard values, and the bits that it reads from.
#pragma once

#include "bytes.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace example::photo {

/// Bits of image data without stuffed bytes, most significant first; zeros after the end.
class BitReader {
 public:
  explicit BitReader(Bytes data) : data_(data) {}

  /// The next 16 bits, without moving.
  [[nodiscard]] std::uint32_t peek16() const {
    const std::size_t at = bit_ >> 3;
    std::uint32_t three = 0;
    if (at + 3 <= data_.size()) [[likely]] {
      three = static_cast<std::uint32_t>(data_[at] << 16 | data_[at + 1] << 8 | data_[at + 2]);
    } else {
      for (std::size_t i = 0; i < 3; ++i) three = three << 8 | (at + i < data_.size() ? data_[at + i] : 0U);
    }
    return three >> (8 - (bit_ & 7)) & 0xFFFF;
  }

  void skip(std::size_t bits) { bit_ += bits; }

  /// A number of `bits` bits, at most 16.
  std::uint32_t get(std::size_t bits) {
    const std::uint32_t value = peek16() >> (16 - bits);
    skip(bits);
    return value;
  }

  /// More was read than there is.
  [[nodiscard]] bool exhausted() const { return bit_ > 8 * data_.size(); }
  /// Bytes that are read at least in part.
  [[nodiscard]] std::size_t bytes() const { return (bit_ + 7) / 8; }

 private:
  Bytes data_;
  std::size_t bit_ = 0;
};

/// A code of up to 256 symbols of 1 to 16 bits.
class HuffmanTable {
 public:
  /// Codes in order of their lengths: `counts` of each length from 1 to 16, and the symbols. Nothing where they do not fit.
  [[nodiscard]] static std::optional<HuffmanTable> make(Bytes counts, Bytes symbols) {
    HuffmanTable table;
    std::copy_n(counts.begin(), 16, table.counts_.begin());
    table.symbols_.assign(symbols.begin(), symbols.end());
    std::uint32_t code = 0, index = 0;
    for (std::uint32_t length = 1; length <= 16; ++length, code <<= 1) {
      const std::uint32_t count = counts[length - 1];
      if (code + count >= 1U << length) return std::nullopt;  // ones alone are no code
      table.offset_[length] = static_cast<std::int32_t>(index) - static_cast<std::int32_t>(code);
      for (std::uint32_t i = 0; i < count && length <= fast_bits; ++i)
        std::fill_n(table.fast_.begin() + ((code + i) << (fast_bits - length)), 1U << (fast_bits - length),
                    static_cast<std::uint16_t>(length << 8 | symbols[index + i]));
      code += count;
      index += count;
      table.limit_[length] = code << (16 - length);
    }
    return table;
  }

  /// The next symbol, or -1 where the bits are no code.
  [[nodiscard]] int read(BitReader& bits) const {
    const std::uint32_t next = bits.peek16();
    if (const std::uint16_t found = fast_[next >> (16 - fast_bits)]; found != 0) [[likely]] {
      bits.skip(found >> 8);
      return found & 0xFF;
    }
    for (std::uint32_t length = fast_bits + 1; length <= 16; ++length)
      if (next < limit_[length]) {
        bits.skip(length);
        return symbols_[static_cast<std::size_t>(static_cast<std::int32_t>(next >> (16 - length)) + offset_[length])];
      }
    return -1;
  }

  /// The table as a DHT segment holds it.
  void append_to(ByteList& segment) const {
    append(segment, counts_);
    append(segment, symbols_);
  }

 private:
  static constexpr std::uint32_t fast_bits = 9;
  std::array<std::uint8_t, 16> counts_{};
  ByteList symbols_;
  std::array<std::uint16_t, 1U << fast_bits> fast_{};  ///< length << 8 | symbol of short codes
  std::array<std::uint32_t, 17> limit_{};              ///< first 16 bits that are no code of this length or shorter
  std::array<std::int32_t, 17> offset_{};              ///< from a code to its symbol's index
};

/// The tables of T.81, K.3, that Motion JPEG frames leave out: of luminance (0) or chrominance (1), for DC or AC values.
[[nodiscard]] inline HuffmanTable standard_table(bool ac, bool chrominance) {
  using namespace std::string_view_literals;
  constexpr auto dc_symbols = "\0\1\2\3\4\5\6\7\10\11\12\13"sv;
  constexpr std::array counts{
      "\0\1\5\1\1\1\1\1\1\0\0\0\0\0\0\0"sv,
      "\0\3\1\1\1\1\1\1\1\1\1\0\0\0\0\0"sv,
      "\0\2\1\3\3\2\4\3\5\5\4\4\0\0\1\x7D"sv,
      "\0\2\1\2\4\4\3\4\7\5\4\4\0\1\2\x77"sv,
  };
  constexpr std::array symbols{
      dc_symbols,
      dc_symbols,
      "\x01\x02\x03\x00\x04\x11\x05\x12\x21\x31\x41\x06\x13\x51\x61\x07\x22\x71\x14\x32\x81\x91\xA1\x08\x23\x42\xB1\xC1\x15\x52"
      "\xD1\xF0\x24\x33\x62\x72\x82\x09\x0A\x16\x17\x18\x19\x1A\x25\x26\x27\x28\x29\x2A\x34\x35\x36\x37\x38\x39\x3A\x43\x44\x45"
      "\x46\x47\x48\x49\x4A\x53\x54\x55\x56\x57\x58\x59\x5A\x63\x64\x65\x66\x67\x68\x69\x6A\x73\x74\x75\x76\x77\x78\x79\x7A\x83"
      "\x84\x85\x86\x87\x88\x89\x8A\x92\x93\x94\x95\x96\x97\x98\x99\x9A\xA2\xA3\xA4\xA5\xA6\xA7\xA8\xA9\xAA\xB2\xB3\xB4\xB5\xB6"
      "\xB7\xB8\xB9\xBA\xC2\xC3\xC4\xC5\xC6\xC7\xC8\xC9\xCA\xD2\xD3\xD4\xD5\xD6\xD7\xD8\xD9\xDA\xE1\xE2\xE3\xE4\xE5\xE6\xE7\xE8"
      "\xE9\xEA\xF1\xF2\xF3\xF4\xF5\xF6\xF7\xF8\xF9\xFA"sv,
      "\x00\x01\x02\x03\x11\x04\x05\x21\x31\x06\x12\x41\x51\x07\x61\x71\x13\x22\x32\x81\x08\x14\x42\x91\xA1\xB1\xC1\x09\x23\x33"
      "\x52\xF0\x15\x62\x72\xD1\x0A\x16\x24\x34\xE1\x25\xF1\x17\x18\x19\x1A\x26\x27\x28\x29\x2A\x35\x36\x37\x38\x39\x3A\x43\x44"
      "\x45\x46\x47\x48\x49\x4A\x53\x54\x55\x56\x57\x58\x59\x5A\x63\x64\x65\x66\x67\x68\x69\x6A\x73\x74\x75\x76\x77\x78\x79\x7A"
      "\x82\x83\x84\x85\x86\x87\x88\x89\x8A\x92\x93\x94\x95\x96\x97\x98\x99\x9A\xA2\xA3\xA4\xA5\xA6\xA7\xA8\xA9\xAA\xB2\xB3\xB4"
      "\xB5\xB6\xB7\xB8\xB9\xBA\xC2\xC3\xC4\xC5\xC6\xC7\xC8\xC9\xCA\xD2\xD3\xD4\xD5\xD6\xD7\xD8\xD9\xDA\xE2\xE3\xE4\xE5\xE6\xE7"
      "\xE8\xE9\xEA\xF2\xF3\xF4\xF5\xF6\xF7\xF8\xF9\xFA"sv,
  };
  const auto bytes = [](std::string_view text) { return Bytes(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()); };
  const std::size_t which = 2 * std::size_t{ac} + std::size_t{chrominance};
  return *HuffmanTable::make(bytes(counts[which]), bytes(symbols[which]));
}

}  // namespace example::photo
