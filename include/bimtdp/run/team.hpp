// SPDX-License-Identifier: Apache-2.0
// Team: the threads of one run. They start together once and meet between the stages.
#pragma once

#include <atomic>
#include <cstddef>

#ifdef _OPENMP
#include <omp.h>
#endif

namespace bimtdp {

/// Where the threads of a team wait for each other. A short spin first, because stages last microseconds; then they sleep, so
/// that a machine with fewer free cores than threads is slowed down and not brought to a halt.
class Barrier {
 public:
  /// Returns when `threads` threads have called it; all of them pass the same number.
  void wait(std::size_t threads) noexcept {
    const unsigned phase = phase_.load(std::memory_order_acquire);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == threads) {
      arrived_.store(0, std::memory_order_relaxed);
      phase_.store(phase + 1, std::memory_order_release);
      phase_.notify_all();
      return;
    }
    for (int spin = 0; spin < spins; ++spin)
      if (phase_.load(std::memory_order_acquire) != phase) return;
    phase_.wait(phase, std::memory_order_acquire);
  }

 private:
  static constexpr int spins = 20000;  // some ten microseconds
  std::atomic<std::size_t> arrived_{0};
  std::atomic<unsigned> phase_{0};
};

/// A thread's place in its team.
struct TeamMember {
  std::size_t thread = 0;  ///< 0..size-1
  std::size_t size = 1;
};

/// Calls body(member) on up to `threads` threads at once; on fewer where OpenMP is absent or gives fewer. It must not throw.
template <class Body>
void run_team([[maybe_unused]] std::size_t threads, Body&& body) {
#ifdef _OPENMP
  if (threads > 1) {
    const int wanted = static_cast<int>(threads);
#pragma omp parallel num_threads(wanted)
    body(TeamMember{static_cast<std::size_t>(omp_get_thread_num()), static_cast<std::size_t>(omp_get_num_threads())});
    return;
  }
#endif
  body(TeamMember{});
}

}  // namespace bimtdp
