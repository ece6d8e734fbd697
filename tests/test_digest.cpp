// SPDX-License-Identifier: Apache-2.0
// Digests are those of Python's xxhash.xxh3_128_hexdigest.
#include <bimtdp/io/digest.hpp>

#include "catch.hpp"

#include <bit>
#include <cstdint>
#include <span>
#include <string_view>

using namespace bimtdp;

TEST_CASE("digests equal those of Python's xxhash") {
  const auto of = [](std::string_view text) { return digest(std::as_bytes(std::span(text))); };
  CHECK(of("") == "99aa06d3014798d86001c324468d497f");
  CHECK(of("bimtdp") == "db412dad49c6f4e4125d6e49152e9df6");
  CHECK(of(std::string(1000, 'x')) == "50a1af5a5f2dcf01c0a4877b962cba82");
}

TEST_CASE("every NaN counts as the same one, and as no number") {
  const auto of = [](std::uint32_t bits) {
    Tensor<float> map({1, 1, 2});
    map(0, 0, 0) = 1.0f, map(0, 0, 1) = std::bit_cast<float>(bits);
    return digest(Value(map).ref());
  };
  CHECK(of(0x7fc00000u) == of(0xffc00000u));
  CHECK(of(0x7fc00000u) == of(0x7f800001u));
  CHECK(of(0x7fc00000u) != of(0x7f800000u));
}

TEST_CASE("what a digest looks like") {
  CHECK(is_digest(std::string(32, 'a')));
  CHECK_FALSE(is_digest(std::string(32, 'A')));
  CHECK_FALSE(is_digest(std::string(31, 'a')));
  CHECK_FALSE(is_digest(std::string(32, 'g')));
}
