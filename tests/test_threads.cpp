// SPDX-License-Identifier: Apache-2.0
// How many threads a process may use: quotas of the cgroup and of those around it.
#include <bimtdp/run/team.hpp>
#include <bimtdp/run/threads.hpp>

#include "catch.hpp"

#include <atomic>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

using namespace bimtdp;
namespace fs = std::filesystem;

namespace {

std::size_t quota(const std::string& text) {
  std::istringstream stream(text);
  return detail::quota_in(stream, 64);
}

void write(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path) << text;
}

}  // namespace

TEST_CASE("a quota is rounded up to whole processors") {
  CHECK(quota("150000 100000") == 2);
  CHECK(quota("100000 100000\n") == 1);
  CHECK(quota("1000 100000") == 1);
  CHECK(quota("max 100000") == 64);
  CHECK(quota("-1 100000") == 64);
  CHECK(quota("100000 0") == 64);
  CHECK(quota("") == 64);
  CHECK(quota("99999999999999999999999 100000") == 64);
}

TEST_CASE("the least quota of a cgroup and its parents counts") {
  const fs::path root = fs::temp_directory_path() / "bimtdp_test_threads";
  fs::remove_all(root);
  const fs::path membership = root / "membership", groups = root / "groups";
  write(membership, "1:cpu:/elsewhere\n0::/user.slice/app\n");
  CHECK(detail::quota_threads(membership, groups, 8) == 8);
  write(groups / "user.slice/app/cpu.max", "max 100000\n");
  CHECK(detail::quota_threads(membership, groups, 8) == 8);
  write(groups / "user.slice/cpu.max", "250000 100000\n");
  CHECK(detail::quota_threads(membership, groups, 8) == 3);
  CHECK(detail::quota_threads(membership, groups, 2) == 2);
  write(groups / "cpu.max", "200000 100000\n");
  CHECK(detail::quota_threads(membership, groups, 8) == 2);
  CHECK(detail::quota_threads(root / "missing", groups, 8) == 2);
  fs::remove_all(root);
}

TEST_CASE("default threads") {
  CHECK(default_threads() >= 1);
  CHECK(default_threads() <= detail::affinity_threads());
  CHECK(default_threads() == default_threads());
  CHECK(detail::quota_threads(3) >= 1);
}

TEST_CASE("a team meets at the barrier as often as it likes") {
  constexpr std::size_t meetings = 2000;
  for (const std::size_t threads : {1u, 2u, 5u}) {
    Barrier barrier;
    std::atomic<std::size_t> arrived{0};
    std::atomic<bool> early{false};
    std::atomic<std::size_t> members{0};
    run_team(threads, [&](const TeamMember& member) {
      ++members;
      for (std::size_t i = 1; i <= meetings; ++i) {
        ++arrived;
        barrier.wait(member.size);
        if (arrived < i * member.size) early = true;  // somebody left before all had come
        barrier.wait(member.size);
      }
    });
    CHECK_FALSE(early);
    CHECK(arrived == meetings * members);
    CHECK(members <= threads);
  }
}
