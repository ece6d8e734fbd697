// SPDX-License-Identifier: Apache-2.0
#include "ops_testing.hpp"

#include <bimtdp/ops/execution.hpp>

#include <atomic>

using namespace bimtdp;
using namespace bimtdp::ops;

TEST_CASE("parts cover every item once, with scratch of their own") {
  for (const std::size_t count : {0U, 1U, 2U, 7U, 64U, 1000U})
    for (const std::size_t threads : {1U, 2U, 3U, 4U, 64U}) {
      const ScratchNeed need{128, 64};
      AlignedVector<std::byte> bytes(need.total(threads));
      const Execution execution{&kernels::reference_table(), threads, bytes};
      CHECK_NOTHROW(check_execution(execution, need, "test"));
      std::vector<int> visits(count);
      std::vector<std::byte*> places(count);
      for_each_part(execution, count, need, [&](std::size_t begin, std::size_t end, Scratch scratch) {
        std::byte* place = scratch.take_bytes(64).data();
        for (std::size_t i = begin; i < end; ++i) visits[i] += 1, places[i] = place;
      });
      for (std::size_t i = 0; i < count; ++i) {
        CHECK(visits[i] == 1);
        CHECK(places[i] >= bytes.data() + 128);
        CHECK(places[i] + 64 <= bytes.data() + bytes.size());
        const std::size_t parts = std::min(threads, count);
        if (parts == count && i > 0) CHECK(places[i] != places[i - 1]);
      }
    }
}

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

TEST_CASE("executions that cannot run an op are refused") {
  const ScratchNeed need{0, 64};
  AlignedVector<std::byte> bytes(192);
  const std::span<std::byte> all(bytes);
  const auto& table = kernels::reference_table();
  CHECK_NOTHROW(check_execution({&table, 3, all}, need, "test"));
  CHECK_THROWS_AS(check_execution({nullptr, 1, all}, need, "test"), Error);
  CHECK_THROWS_AS(check_execution({&table, 0, all}, need, "test"), Error);
  CHECK_THROWS_AS(check_execution({&table, max_threads + 1, all}, {}, "test"), Error);
  CHECK_THROWS_AS(check_execution({&table, 4, all}, need, "test"), Error);
  CHECK_THROWS_AS(check_execution({&table, 1, all.subspan(1)}, need, "test"), Error);
}
