// SPDX-License-Identifier: Apache-2.0
// BitTensor<Word>: an owning map of signs, channel-packed. Bit 1 means +1, bit 0 means -1.
// A pixel is ceil(C / bits) words; channel c is bit c % bits of word c / bits.
// Invariant: the unused high bits of a pixel's last word (tail bits) are 0, so that XOR and popcount never count them.
#pragma once

#include <bimtdp/core/aligned.hpp>
#include <bimtdp/core/shape.hpp>
#include <bimtdp/core/tensor.hpp>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <type_traits>

namespace bimtdp {

/// Bits in a word.
template <class Word>
inline constexpr std::size_t word_bits = std::numeric_limits<std::remove_const_t<Word>>::digits;

/// Words that hold `channels` bits.
template <class Word>
[[nodiscard]] constexpr std::size_t words_for(std::size_t channels) {
  return channels / word_bits<Word> + (channels % word_bits<Word> != 0);
}

/// A word whose low `count` bits are 1, count in 0..bits.
template <class Word>
[[nodiscard]] constexpr Word low_bits(std::size_t count) {
  return count >= word_bits<Word> ? static_cast<Word>(~Word{0}) : static_cast<Word>((Word{1} << count) - 1);
}

/// A bit map somebody else owns; pixels lie densely, rows of pixels follow each other.
template <class Word>
struct BitView {
  using Value = std::remove_const_t<Word>;
  static_assert(std::is_same_v<Value, std::uint32_t> || std::is_same_v<Value, std::uint64_t>);

  Word* data = nullptr;
  Shape shape{};

  /// Words of one pixel.
  [[nodiscard]] std::size_t words() const { return words_for<Word>(shape.channels); }
  [[nodiscard]] Word* pixel(std::size_t y, std::size_t x) const { return data + (y * shape.width + x) * words(); }
  [[nodiscard]] std::span<Word> span() const { return {data, shape.pixels() * words()}; }
  [[nodiscard]] bool operator()(std::size_t y, std::size_t x, std::size_t c) const {
    return ((pixel(y, x)[c / word_bits<Word>] >> (c % word_bits<Word>)) & 1U) != 0;
  }
  /// `count` rows from row `first` on.
  [[nodiscard]] BitView rows(std::size_t first, std::size_t count) const {
    return {pixel(first, 0), {count, shape.width, shape.channels}};
  }
  operator BitView<const Value>() const requires(!std::is_const_v<Word>) { return {data, shape}; }

  /// Whether the invariant holds.
  [[nodiscard]] bool tail_is_zero() const {
    const std::size_t used = shape.channels % word_bits<Word>;
    if (used == 0) return true;
    const Value tail = static_cast<Value>(~low_bits<Value>(used));
    for (std::size_t last = words() - 1; last < span().size(); last += words())
      if ((data[last] & tail) != 0) return false;
    return true;
  }
  /// Throws Error unless the invariant holds.
  void check_tail(std::string_view where) const {
    demand(tail_is_zero(), where, "tail bits of a bit map of shape ", shape, " are not 0");
  }
};

/// check_tail in debug builds (NDEBUG not defined), nothing in release builds: ops call it on their inputs.
template <class Word>
void debug_check_tail([[maybe_unused]] const BitView<Word>& bits, [[maybe_unused]] std::string_view where) {
#ifndef NDEBUG
  bits.check_tail(where);
#endif
}

/// An owning bit map, 64-byte aligned; new bits are 0. Throws Error for a shape that no memory can hold.
template <class Word>
class BitTensor {
 public:
  BitTensor() = default;
  explicit BitTensor(const Shape& shape) : shape_(shape), words_(checked_elements<Word>(shape, words_for<Word>(shape.channels))) {}

  [[nodiscard]] const Shape& shape() const { return shape_; }
  [[nodiscard]] Word* data() { return words_.data(); }
  [[nodiscard]] const Word* data() const { return words_.data(); }
  [[nodiscard]] std::span<Word> span() { return words_; }
  [[nodiscard]] std::span<const Word> span() const { return words_; }
  [[nodiscard]] bool operator()(std::size_t y, std::size_t x, std::size_t c) const { return view()(y, x, c); }
  void set(std::size_t y, std::size_t x, std::size_t c, bool value) {
    Word& word = view().pixel(y, x)[c / word_bits<Word>];
    const Word bit = static_cast<Word>(Word{1} << (c % word_bits<Word>));
    word = static_cast<Word>(value ? word | bit : word & ~bit);
  }
  [[nodiscard]] BitView<Word> view() { return {words_.data(), shape_}; }
  [[nodiscard]] BitView<const Word> view() const { return {words_.data(), shape_}; }
  operator BitView<Word>() { return view(); }
  operator BitView<const Word>() const { return view(); }
  friend bool operator==(const BitTensor& a, const BitTensor& b) { return a.shape_ == b.shape_ && a.words_ == b.words_; }

 private:
  Shape shape_{};
  AlignedVector<Word> words_;
};

/// Copies `count` bits from bit `from_bit` of `from` to bit `to_bit` of `to`; other bits of `to` keep their values.
template <class Word>
void copy_bits(const Word* from, std::size_t from_bit, std::size_t count, Word* to, std::size_t to_bit) noexcept {
  constexpr std::size_t bits = word_bits<Word>;
  while (count > 0) {
    const std::size_t from_at = from_bit % bits, to_at = to_bit % bits;
    const std::size_t step = (std::min)({count, bits - from_at, bits - to_at});
    const Word mask = low_bits<Word>(step);
    const Word value = static_cast<Word>((from[from_bit / bits] >> from_at) & mask);
    Word& target = to[to_bit / bits];
    target = static_cast<Word>((target & ~static_cast<Word>(mask << to_at)) | static_cast<Word>(value << to_at));
    from_bit += step, to_bit += step, count -= step;
  }
}

/// Signs of a float map: bit = (x >= 0), so both zeros give 1 and NaN gives 0.
template <class Word>
[[nodiscard]] BitTensor<Word> pack(const TensorView<const float>& x) {
  BitTensor<Word> bits(x.shape);
  const std::size_t channels = x.shape.channels, words = words_for<Word>(channels);
  for (std::size_t p = 0; p < x.shape.pixels(); ++p)
    for (std::size_t c = 0; c < channels; ++c)
      bits.data()[p * words + c / word_bits<Word>] |=
          static_cast<Word>(Word{x.data[p * channels + c] >= 0.0F} << (c % word_bits<Word>));
  return bits;
}

/// +1 and -1 of a bit map, into a map of the same shape.
template <class Word>
void unpack(const BitView<Word>& bits, const TensorView<float>& x) {
  check_equal(x.shape, bits.shape, "unpack", "shape");
  for (std::size_t y = 0; y < bits.shape.height; ++y)
    for (std::size_t column = 0; column < bits.shape.width; ++column)
      for (std::size_t c = 0; c < bits.shape.channels; ++c) x(y, column, c) = bits(y, column, c) ? 1.0F : -1.0F;
}

template <class Word>
[[nodiscard]] Tensor<float> unpack(const BitView<Word>& bits) {
  Tensor<float> x(bits.shape);
  unpack(bits, x.view());
  return x;
}

}  // namespace bimtdp
