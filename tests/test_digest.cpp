// SPDX-License-Identifier: Apache-2.0
// Digests are those of Python's xxhash.xxh3_128_hexdigest.
#include <bimtdp/io/digest.hpp>

#include "catch.hpp"

#include <span>
#include <string_view>

using namespace bimtdp;

TEST_CASE("digests equal those of Python's xxhash") {
  const auto of = [](std::string_view text) { return digest(std::as_bytes(std::span(text))); };
  CHECK(of("") == "99aa06d3014798d86001c324468d497f");
  CHECK(of("bimtdp") == "db412dad49c6f4e4125d6e49152e9df6");
  CHECK(of(std::string(1000, 'x')) == "50a1af5a5f2dcf01c0a4877b962cba82");
}

TEST_CASE("what a digest looks like") {
  CHECK(is_digest(std::string(32, 'a')));
  CHECK_FALSE(is_digest(std::string(32, 'A')));
  CHECK_FALSE(is_digest(std::string(31, 'a')));
  CHECK_FALSE(is_digest(std::string(32, 'g')));
}
