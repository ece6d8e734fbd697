// SPDX-License-Identifier: Apache-2.0
// Barrier: where the threads of a team wait for each other.
#pragma once

#include <atomic>
#include <cstddef>

#if defined(__x86_64__) || defined(__i386__) || defined(_M_X64)
#include <emmintrin.h>
#endif

namespace bimtdp {

namespace detail {

/// Tells the CPU that this is a loop that waits.
inline void pause() noexcept {
#if defined(__x86_64__) || defined(__i386__) || defined(_M_X64)
  _mm_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

}  // namespace detail

/// A short spin first, because stages last microseconds; then threads sleep, so that a machine with fewer free cores than threads
/// is slowed down and not brought to a halt. A class of our own because std::barrier neither says how long it spins nor sleeps
/// soon.
class Barrier {
 public:
  /// `spin`: whether every thread may have a core of its own; where not, a waiting thread sleeps at once.
  explicit Barrier(std::size_t size, bool spin = true) noexcept : size_(size), spins_(spin ? 2000 : 0) {}

  [[nodiscard]] std::size_t size() const noexcept { return size_.load(std::memory_order_relaxed); }
  /// For fewer threads than first thought. Called by a thread that has yet to wait; the others may be waiting already.
  void resize(std::size_t size) noexcept { size_.store(size, std::memory_order_relaxed); }

  /// Returns when all threads have called it.
  void wait() noexcept {
    const unsigned phase = phase_.load(std::memory_order_acquire);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == size()) {
      arrived_.store(0, std::memory_order_relaxed);
      phase_.store(phase + 1, std::memory_order_release);
      phase_.notify_all();
      return;
    }
    for (int spin = 0; spin < spins_; ++spin, detail::pause())
      if (phase_.load(std::memory_order_acquire) != phase) return;
    phase_.wait(phase, std::memory_order_acquire);
  }

 private:
  std::atomic<std::size_t> size_;
  int spins_;  // of the order of twenty microseconds
  std::atomic<std::size_t> arrived_{0};
  std::atomic<unsigned> phase_{0};
};

}  // namespace bimtdp
