// SPDX-License-Identifier: Apache-2.0
// The version text says what the macros say.
#include <bimtdp/version.hpp>

#include "catch.hpp"

#include <string>

TEST_CASE("the version text equals the version macros") {
  const std::string expected = std::to_string(BIMTDP_VERSION_MAJOR) + "." + std::to_string(BIMTDP_VERSION_MINOR) + "." +
                               std::to_string(BIMTDP_VERSION_PATCH);
  CHECK(bimtdp::version == expected);
}
