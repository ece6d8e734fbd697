// SPDX-License-Identifier: Apache-2.0
// Inflate (RFC 1950 and 1951) of a zlib stream whose size is known, byte by byte into a sink: nothing but the window of 32 KiB
// is held, and nothing is made beyond that size. Accepts what zlib accepts and nothing else.
#pragma once

#include "bytes.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace example::photo {

/// A code of deflate: symbols of 1 to 15 bits, read from their first bit on.
class DeflateCode {
 public:
  /// From the length of each symbol's code, 0 for none. `right` is false where they make no code: zlib wants every string of
  /// bits to be used, but for one symbol alone in a code of distances or lengths.
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

/// Reads a zlib stream; `sink(Bytes)` gets what it holds in pieces. Every function says what is wrong, "" for nothing.
template <class Sink>
class Inflater {
 public:
  Inflater(Bytes stream, std::size_t expected, Sink& sink) : data_(stream), expected_(expected), sink_(sink), window_(2 * window) {}

  [[nodiscard]] std::string run() {
    if (data_.size() < 2 || (data_[0] & 15) != 8 || data_[0] >> 4 > 7 || (data_[0] << 8 | data_[1]) % 31 != 0 || (data_[1] & 32))
      return "a wrong zlib header";
    at_ = 2;
    for (bool last = false; !last;) {
      last = get(1) != 0;
      const std::string wrong = block(get(2));
      if (!wrong.empty()) return wrong;
    }
    return finish();
  }

 private:
  static constexpr std::size_t window = std::size_t{1} << 15;

  std::string block(std::uint32_t kind) {
    if (kind == 0) return stored();
    if (kind == 3) return "an unknown kind of block";
    const std::string wrong = kind == 1 ? fixed_codes() : dynamic_codes();
    return wrong.empty() ? symbols() : wrong;
  }

  /// At least 48 valid bits, if there are so many.
  void refill() {
    for (; bits_held_ <= 56 && at_ < data_.size(); bits_held_ += 8) held_ |= std::uint64_t{data_[at_++]} << bits_held_;
  }

  void drop(std::uint32_t count) {
    overrun_ = overrun_ || count > bits_held_;
    bits_held_ -= std::min(count, bits_held_);
    held_ >>= count;
  }

  std::uint32_t get(std::uint32_t count) {
    refill();
    const auto value = static_cast<std::uint32_t>(held_ & ((1U << count) - 1));
    drop(count);
    return value;
  }

  std::string stored() {
    drop(bits_held_ & 7);
    const std::uint32_t length = get(16), inverse = get(16);
    if (overrun_) return cut_off();
    if (length + inverse != 0xFFFF) return "a wrong length of a stored block";
    for (std::uint32_t i = 0; i < length; ++i) {
      const std::uint32_t byte = get(8);
      if (overrun_) return cut_off();
      if (!put(static_cast<std::uint8_t>(byte))) return too_long();
    }
    return "";
  }

  std::string fixed_codes() {
    std::array<std::uint8_t, 288> lengths{};
    for (std::size_t i = 0; i < lengths.size(); ++i) lengths[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
    std::array<std::uint8_t, 32> distances{};
    distances.fill(5);
    literals_.assign(lengths, false);
    distances_.assign(distances, false);
    return "";
  }

  std::string dynamic_codes() {
    const std::uint32_t literals = get(5) + 257, distances = get(5) + 1, codes = get(4) + 4;
    if (literals > 286 || distances > 30) return "too many codes of lengths or distances";
    constexpr std::array<std::uint8_t, 19> order{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
    std::array<std::uint8_t, 19> code_lengths{};
    for (std::uint32_t i = 0; i < codes; ++i) code_lengths[order[i]] = static_cast<std::uint8_t>(get(3));
    DeflateCode code;
    if (!code.assign(code_lengths, false)) return "a wrong code of code lengths";
    std::array<std::uint8_t, 286 + 30> lengths{};
    for (std::uint32_t i = 0; i < literals + distances;) {
      refill();
      const auto [symbol, bits] = code.find(held_);
      drop(bits);
      if (overrun_ || bits == 0) return overrun_ ? cut_off() : "a wrong code length";
      if (symbol < 16) {
        lengths[i++] = static_cast<std::uint8_t>(symbol);
        continue;
      }
      if (symbol == 16 && i == 0) return "a repetition of nothing";
      const std::uint8_t repeated = symbol == 16 ? lengths[i - 1] : std::uint8_t{0};
      const std::uint32_t count = symbol == 16 ? 3 + get(2) : symbol == 17 ? 3 + get(3) : 11 + get(7);
      if (count > literals + distances - i) return "too many code lengths";
      std::fill_n(lengths.begin() + i, count, repeated);
      i += count;
    }
    if (lengths[256] == 0) return "no code for the end of a block";
    const std::span all(lengths);
    if (!literals_.assign(all.first(literals), true)) return "a wrong code of lengths";
    if (!distances_.assign(all.subspan(literals, distances), true)) return "a wrong code of distances";
    return "";
  }

  /// The literals and repetitions of a block.
  std::string symbols() {
    while (true) {
      refill();
      const auto [symbol, bits] = literals_.find(held_);
      drop(bits);
      if (overrun_ || bits == 0) return overrun_ || data_.size() == at_ ? cut_off() : "a wrong code";
      if (symbol == 256) return "";
      if (symbol < 256) {
        if (!put(static_cast<std::uint8_t>(symbol))) return too_long();
        continue;
      }
      const std::string wrong = repetition(symbol - 257);
      if (!wrong.empty()) return wrong;
    }
  }

  std::string repetition(std::uint32_t number) {
    if (number > 28) return "a wrong code of a length";
    const std::uint32_t more = number < 8 || number == 28 ? 0 : number / 4 - 1;
    const std::uint32_t base = number == 28 ? 258 : number < 8 ? 3 + number : 3 + ((4 + number % 4) << more);
    std::uint32_t length = base + get(more);
    refill();
    const auto [code, bits] = distances_.find(held_);
    drop(bits);
    if (overrun_ || bits == 0 || code > 29) return overrun_ ? cut_off() : "a wrong code of a distance";
    const std::uint32_t wide = code < 4 ? 0 : code / 2 - 1;
    const std::uint32_t distance = 1 + (code < 4 ? code : (2 + code % 2) << wide) + get(wide);
    if (overrun_) return cut_off();
    if (distance > made_) return "a distance before the beginning";
    for (; length > 0; --length)
      if (!put(window_[(made_ - distance) & (2 * window - 1)])) return too_long();
    return "";
  }

  bool put(std::uint8_t byte) {
    if (made_ == expected_) return false;
    window_[made_++ & (2 * window - 1)] = byte;
    if ((made_ & (window - 1)) == 0) flush(window);
    return true;
  }

  /// Hands on the last `count` bytes, which lie in one half of the window.
  void flush(std::size_t count) {
    const Bytes piece = Bytes(window_).subspan((made_ - count) & (2 * window - 1), count);
    for (const std::uint8_t byte : piece) {  // Adler-32
      low_ = low_ + byte;
      high_ = high_ + low_;
    }
    low_ %= 65521;
    high_ %= 65521;
    sink_(piece);
  }

  std::string finish() {
    if (overrun_) return cut_off();
    if (made_ != expected_) return bimtdp::detail::text(made_, " bytes, expected ", expected_);
    flush(made_ & (window - 1));
    drop(bits_held_ & 7);
    std::uint64_t checksum = 0;
    for (int i = 0; i < 4; ++i) checksum = checksum << 8 | get(8);
    if (overrun_) return cut_off();
    return checksum == (high_ << 16 | low_) ? "" : "another checksum than they say";
  }

  [[nodiscard]] static std::string cut_off() { return "no end"; }
  [[nodiscard]] std::string too_long() const {
    return bimtdp::detail::text("more than ", expected_, " bytes, as many as the picture has");
  }

  Bytes data_;
  std::size_t at_ = 0, expected_, made_ = 0;
  Sink& sink_;
  ByteList window_;
  std::uint64_t held_ = 0, low_ = 1, high_ = 0;
  std::uint32_t bits_held_ = 0;
  bool overrun_ = false;
  DeflateCode literals_, distances_;
};

}  // namespace example::photo
