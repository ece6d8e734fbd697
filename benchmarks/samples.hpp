// SPDX-License-Identifier: Apache-2.0
// Repeated runs: clock time and processor time of each, their minimum and median.
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include <time.h>

namespace samples {

/// Seconds of the clock on the wall.
inline double wall() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

/// Seconds of processor time of the whole process: what other programs take away does not count.
inline double processor() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

inline double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

/// Runs the benchmark loop; sets the counters wall_us, wall_median_us, cpu_us and cpu_median_us.
template <class Run>
void measure(benchmark::State& state, Run run) {
  std::vector<double> wall_seconds, cpu_seconds;
  for (auto _ : state) {
    const double wall_start = wall(), cpu_start = processor();
    run();
    benchmark::ClobberMemory();
    cpu_seconds.push_back(processor() - cpu_start);
    wall_seconds.push_back(wall() - wall_start);
  }
  const auto report = [&](const std::string& name, const std::vector<double>& seconds) {
    state.counters[name + "_us"] = *std::min_element(seconds.begin(), seconds.end()) * 1e6;
    state.counters[name + "_median_us"] = median(seconds) * 1e6;
  };
  report("wall", wall_seconds);
  report("cpu", cpu_seconds);
}

}  // namespace samples
