// SPDX-License-Identifier: Apache-2.0
// How many threads a process may use: quotas of the cgroup and of those around it.
#include <bimtdp/run/threads.hpp>

#include "catch.hpp"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>

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

#ifdef __linux__
TEST_CASE("default threads are those of the thread that asks, when it asks") {
  const std::size_t before = default_threads();
  std::size_t pinned = 0;
  std::thread([&] {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<std::size_t>(sched_getcpu()), &one);
    if (sched_setaffinity(0, sizeof one, &one) == 0) pinned = default_threads();
  }).join();
  CHECK(pinned == 1);
  CHECK(default_threads() == before);
}
#endif
