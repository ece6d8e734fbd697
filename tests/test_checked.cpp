// SPDX-License-Identifier: Apache-2.0
// Checked sizes never wrap: not in sums, not in products, not when rounding up.
#include <bimtdp/core/checked.hpp>

#include "catch.hpp"

using bimtdp::Checked;
using bimtdp::Error;

TEST_CASE("checked sizes compute or throw") {
  constexpr std::uint64_t largest = ~std::uint64_t{0};
  CHECK((Checked(3) + 4).value() == 7);
  CHECK((Checked(3) * 4).value() == 12);
  CHECK((Checked(7) - 4).value() == 3);
  CHECK((Checked(largest) * 0).value() == 0);
  CHECK((Checked(largest) + 0).value() == largest);
  CHECK(Checked(65).align_up(64).value() == 128);
  CHECK(Checked(64).align_up(64).value() == 64);
  CHECK(Checked(0).align_up(64).value() == 0);
  CHECK_THROWS_AS(Checked(largest) + 1, Error);
  CHECK_THROWS_AS(Checked(1) - 2, Error);
  CHECK_THROWS_AS(Checked(std::uint64_t{1} << 32) * (std::uint64_t{1} << 32), Error);
  CHECK_THROWS_AS(Checked(std::uint64_t{1} << 63) * 2, Error);
  CHECK_THROWS_AS((void)Checked(largest - 3).align_up(64), Error);
  CHECK_THROWS_AS((void)Checked(1).align_up(0), Error);
}
