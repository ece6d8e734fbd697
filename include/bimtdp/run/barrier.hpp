// SPDX-License-Identifier: Apache-2.0
// Barrier: where the threads of a team wait for each other.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <mutex>

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

/// Counts the phases of a barrier; threads can sleep until the next one.
class Phase {
 public:
  [[nodiscard]] unsigned now() const noexcept { return count_.load(std::memory_order_acquire); }

#if defined(__linux__)  // with a futex
  void next() noexcept {
    count_.fetch_add(1, std::memory_order_release);
    count_.notify_all();
  }
  void sleep_in(unsigned phase) noexcept { count_.wait(phase, std::memory_order_acquire); }

 private:
#else  // atomics of GCC 12 lose wake-ups elsewhere
  void next() noexcept {
    {
      const std::lock_guard lock(mutex_);
      count_.fetch_add(1, std::memory_order_release);
    }
    changed_.notify_all();
  }
  void sleep_in(unsigned phase) noexcept {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return now() != phase; });
  }

 private:
  std::mutex mutex_{};
  std::condition_variable changed_{};
#endif
  std::atomic<unsigned> count_{0};
};

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
    const unsigned phase = phase_.now();
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == size()) {
      arrived_.store(0, std::memory_order_relaxed);
      phase_.next();
      return;
    }
    for (int spin = 0; spin < spins_; ++spin, detail::pause())
      if (phase_.now() != phase) return;
    phase_.sleep_in(phase);
  }

 private:
  std::atomic<std::size_t> size_;
  int spins_;  // of the order of twenty microseconds
  std::atomic<std::size_t> arrived_{0};
  detail::Phase phase_{};
};

}  // namespace bimtdp
