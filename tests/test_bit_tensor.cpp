// SPDX-License-Identifier: Apache-2.0
#include "catch.hpp"

#include <bimtdp/core/bit_tensor.hpp>

#include <cmath>
#include <limits>
#include <random>

using namespace bimtdp;

namespace {

template <class Word>
BitTensor<Word> random_bits(const Shape& shape, unsigned seed) {
  std::mt19937 engine(seed);
  BitTensor<Word> bits(shape);
  for (std::size_t y = 0; y < shape.height; ++y)
    for (std::size_t x = 0; x < shape.width; ++x)
      for (std::size_t c = 0; c < shape.channels; ++c) bits.set(y, x, c, (engine() & 1U) != 0);
  return bits;
}

}  // namespace

TEMPLATE_TEST_CASE("pack and unpack are inverse and keep the tail 0", "", std::uint32_t, std::uint64_t) {
  for (std::size_t channels = 1; channels <= 130; ++channels) {
    std::mt19937 engine(static_cast<unsigned>(channels));
    Tensor<float> x({2, 3, channels});
    for (float& v : x.span()) v = (engine() & 1U) != 0 ? 1.0F : -1.0F;
    const BitTensor<TestType> bits = pack<TestType>(x);
    CHECK(bits.view().words() == (channels + word_bits<TestType> - 1) / word_bits<TestType>);
    CHECK(bits.view().tail_is_zero());
    const Tensor<float> back = unpack(bits.view());
    CHECK(std::equal(x.span().begin(), x.span().end(), back.span().begin()));
  }
}

TEST_CASE("pack takes both zeros as +1 and NaN as -1") {
  Tensor<float> x({1, 1, 5});
  const float values[] = {0.0F, -0.0F, std::numeric_limits<float>::quiet_NaN(), -1e-45F, 1e-45F};
  std::copy_n(values, 5, x.data());
  CHECK(pack<std::uint32_t>(x).data()[0] == 0b10011U);
}

TEST_CASE("storage is aligned and new bits are 0") {
  const BitTensor<std::uint64_t> bits({5, 7, 19});
  CHECK(reinterpret_cast<std::uintptr_t>(bits.data()) % alignment == 0);
  for (const std::uint64_t word : bits.span()) CHECK(word == 0);
}

TEMPLATE_TEST_CASE("copy_bits moves any range to any offset and nothing else", "", std::uint32_t, std::uint64_t) {
  std::mt19937_64 engine(7);
  for (int round = 0; round < 2000; ++round) {
    TestType from[6], to[6];
    for (std::size_t i = 0; i < 6; ++i) from[i] = static_cast<TestType>(engine()), to[i] = static_cast<TestType>(engine());
    constexpr std::size_t all = 6 * word_bits<TestType>;
    const std::size_t count = engine() % (all + 1), from_bit = engine() % (all - count + 1), to_bit = engine() % (all - count + 1);
    const auto bit = [](const TestType* words, std::size_t i) {
      return (words[i / word_bits<TestType>] >> (i % word_bits<TestType>)) & 1U;
    };
    TestType result[6];
    std::copy_n(to, 6, result);
    copy_bits(from, from_bit, count, result, to_bit);
    bool right = true;
    for (std::size_t i = 0; i < all; ++i) {
      const bool copied = i >= to_bit && i < to_bit + count;
      right = right && bit(result, i) == (copied ? bit(from, from_bit + i - to_bit) : bit(to, i));
    }
    REQUIRE(right);
  }
}

TEST_CASE("a set tail bit is found") {
  auto bits = random_bits<std::uint32_t>({2, 2, 33}, 1);
  CHECK_NOTHROW(bits.view().check_tail("test"));
  bits.data()[7] |= 2;
  CHECK_FALSE(bits.view().tail_is_zero());
  CHECK_THROWS_AS(bits.view().check_tail("test"), Error);
#ifndef NDEBUG
  CHECK_THROWS_AS(debug_check_tail(bits.view(), "test"), Error);
#else
  CHECK_NOTHROW(debug_check_tail(bits.view(), "test"));
#endif
}

TEST_CASE("shapes that no memory can hold") {
  constexpr std::size_t half = std::size_t{1} << 63, third = std::size_t{1} << 32, most = ~std::size_t{0};
  CHECK_THROWS_AS(Tensor<float>({half, 2, 3}), Error);
  CHECK_THROWS_AS(Tensor<float>({third, third + 1, 1}), Error);
  CHECK_THROWS_AS(Tensor<float>({half >> 1, 1, 1}), Error);
  CHECK_THROWS_AS(BitTensor<std::uint32_t>({half, 2, 3}), Error);
  CHECK_THROWS_AS(BitTensor<std::uint64_t>({1, 1 << 20, most}), Error);
  CHECK(words_for<std::uint64_t>(most) == std::size_t{1} << 58);
}

TEST_CASE("empty maps") {
  const BitTensor<std::uint32_t> none({0, 4, 5}), channelless({2, 2, 0});
  CHECK(none.view().tail_is_zero());
  CHECK(channelless.view().tail_is_zero());
  CHECK(channelless.span().empty());
}
