// SPDX-License-Identifier: Apache-2.0
#include "ops_testing.hpp"

#include <bimtdp/ops/workspace.hpp>

using namespace bimtdp;
using namespace bimtdp::ops;

TEST_CASE("scratch hands out aligned pieces that do not overlap") {
  AlignedVector<std::byte> bytes(scratch_size<double>(3) + scratch_size<char>(1) + scratch_size<int>(17));
  Scratch scratch(bytes);
  const auto at = [](const void* p) { return reinterpret_cast<std::uintptr_t>(p); };
  double* a = scratch.take<double>(3);
  char* b = scratch.take<char>(1);
  int* c = scratch.take<int>(17);
  CHECK(at(a) % alignment == 0);
  CHECK(at(b) >= at(a + 3));
  CHECK(at(b) % alignment == 0);
  CHECK(at(c) >= at(b + 1));
  CHECK(at(c + 17) <= at(bytes.data() + bytes.size()));
  CHECK(scratch.rest().empty());
}

TEST_CASE("workspaces that cannot run an op are refused") {
  AlignedVector<std::byte> bytes(192);
  const std::span<std::byte> all(bytes);
  const auto& table = kernels::reference_table();
  CHECK_NOTHROW(check_workspace({&table, all}, 192, "test"));
  CHECK_NOTHROW(check_workspace({&table, {}}, 0, "test"));
  CHECK_THROWS_AS(check_workspace({nullptr, all}, 64, "test"), Error);
  CHECK_THROWS_AS(check_workspace({&table, all}, 193, "test"), Error);
  CHECK_THROWS_AS(check_workspace({&table, all.subspan(1)}, 64, "test"), Error);
}
