// SPDX-License-Identifier: Apache-2.0
// How many threads this process may use: its affinity mask and, on Linux, its cgroup's CPU quota.
#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <istream>
#include <sstream>
#include <string>
#include <thread>

#ifdef __linux__
#include <sched.h>
#endif

namespace bimtdp {

namespace detail {

[[nodiscard]] inline std::size_t affinity_threads() {
#ifdef __linux__
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) return static_cast<std::size_t>((std::max)(1, CPU_COUNT(&set)));
#endif
  return std::max<std::size_t>(1, std::thread::hardware_concurrency());
}

/// Whole CPUs of one quota, rounded up, or `otherwise` where the file has none ("max 100000") or cannot be read.
[[nodiscard]] inline std::size_t quota_in(std::istream& quota_and_period, std::size_t otherwise) {
  long long quota = -1, period = 0;
  if (!(quota_and_period >> quota >> period) || quota <= 0 || period <= 0) return otherwise;
  return static_cast<std::size_t>((quota + period - 1) / period);
}

/// CPUs of this process's cgroup and of all cgroups around it, the least of them; `otherwise` where none has a quota.
/// `membership` is /proc/self/cgroup, `root` the file system of cgroup v2.
[[nodiscard]] inline std::size_t quota_threads(const std::filesystem::path& membership, const std::filesystem::path& root,
                                               std::size_t otherwise) {
  std::size_t least = otherwise;
  std::filesystem::path group = "/";
  std::ifstream lines(membership);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("0::/")) group = line.substr(3);  // the line of cgroup v2: "0::/path"
  for (;; group = group.parent_path()) {
    std::ifstream limit(root / group.relative_path() / "cpu.max");
    least = (std::min)(least, quota_in(limit, otherwise));
    if (!group.has_relative_path()) break;
  }
  return least;
}

/// The quota of cgroup v2, or that of v1 where the container mounts its own.
[[nodiscard]] inline std::size_t quota_threads(std::size_t otherwise) {
  const std::size_t unified = quota_threads("/proc/self/cgroup", "/sys/fs/cgroup", otherwise);
  std::ifstream quota("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), period("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
  std::stringstream both;
  both << quota.rdbuf() << ' ' << period.rdbuf();
  return (std::min)(unified, quota_in(both, otherwise));
}

}  // namespace detail

/// 1 to 64: what the calling thread's affinity and the process's quota allow now.
[[nodiscard]] inline std::size_t default_threads() {
  const std::size_t available = detail::affinity_threads();
  return std::clamp<std::size_t>(detail::quota_threads(available), 1, std::min<std::size_t>(available, 64));
}

}  // namespace bimtdp
