// SPDX-License-Identifier: Apache-2.0
// The default thread count is at least 1 and at most what the machine has.
#include <bimtdp/graph/threads.hpp>

#include "catch.hpp"

TEST_CASE("the default thread count") {
  CHECK(bimtdp::default_threads() >= 1);
  CHECK(bimtdp::default_threads() <= bimtdp::detail::affinity_threads());
  CHECK(bimtdp::default_threads() == bimtdp::default_threads());
  CHECK(bimtdp::detail::quota_threads(3) >= 1);
}
