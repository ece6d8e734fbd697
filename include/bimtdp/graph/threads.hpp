// SPDX-License-Identifier: Apache-2.0
// How many threads this process may use: its affinity mask and, on Linux, its cgroup's CPU quota.
#pragma once

#include <algorithm>
#include <cstddef>
#include <fstream>
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
  if (sched_getaffinity(0, sizeof set, &set) == 0) return static_cast<std::size_t>(std::max(1, CPU_COUNT(&set)));
#endif
  return std::max<std::size_t>(1, std::thread::hardware_concurrency());
}

/// CPUs of the cgroup's quota, rounded up; `otherwise` where there is none.
[[nodiscard]] inline std::size_t quota_threads(std::size_t otherwise) {
  long long quota = -1, period = 0;
  std::string text;
  if (std::ifstream unified("/sys/fs/cgroup/cpu.max"); unified >> text >> period) {  // "max 100000" or "150000 100000"
    if (text.find_first_not_of("0123456789") == std::string::npos && text.size() < 18) quota = std::stoll(text);
  } else {
    std::ifstream("/sys/fs/cgroup/cpu/cpu.cfs_quota_us") >> quota;
    std::ifstream("/sys/fs/cgroup/cpu/cpu.cfs_period_us") >> period;
  }
  if (quota <= 0 || period <= 0) return otherwise;
  return static_cast<std::size_t>((quota + period - 1) / period);
}

}  // namespace detail

/// At least 1. Found once; without OpenMP ops run on one thread whatever it says.
[[nodiscard]] inline std::size_t default_threads() {
#ifdef _OPENMP
  static const std::size_t threads = [] {
    const std::size_t available = detail::affinity_threads();
    return std::clamp<std::size_t>(detail::quota_threads(available), 1, std::min<std::size_t>(available, 64));
  }();
  return threads;
#else
  return 1;
#endif
}

}  // namespace bimtdp
