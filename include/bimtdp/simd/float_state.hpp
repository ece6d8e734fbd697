// SPDX-License-Identifier: Apache-2.0
// FloatState: a thread computes in the standard's floating-point state while one lives, and in its caller's afterwards. Hosts
// change theirs: a rounding mode, denormals flushed to zero by a library that -ffast-math linked, traps. Results must not follow.
#pragma once

#include <atomic>

#if defined(__x86_64__) || defined(_M_X64)
#include <xmmintrin.h>
#elif !defined(__aarch64__)
#include <cfenv>
#endif

namespace bimtdp {

/// To nearest, denormals as they are, no traps; the caller's state comes back with its flags as they were.
class FloatState {
 public:
  FloatState() noexcept : callers_(read()) { write(standard()); }
  FloatState(const FloatState&) = delete;
  FloatState& operator=(const FloatState&) = delete;
  ~FloatState() { write(callers_); }

 private:
#if defined(__x86_64__) || defined(_M_X64)
  using Register = unsigned;
  static Register read() noexcept { return _mm_getcsr(); }
  static Register standard() noexcept { return 0x1f80; }
  static void set(Register state) noexcept { _mm_setcsr(state); }
#elif defined(__aarch64__)
  struct Register {
    unsigned long control = 0, flags = 0;
  };
  static Register read() noexcept {
    Register state;
    __asm__ volatile("mrs %0, fpcr\n\tmrs %1, fpsr" : "=r"(state.control), "=r"(state.flags));
    return state;
  }
  static Register standard() noexcept { return {}; }
  static void set(const Register& state) noexcept {
    __asm__ volatile("msr fpcr, %0\n\tmsr fpsr, %1" : : "r"(state.control), "r"(state.flags));
  }
#else
  using Register = std::fenv_t;
  static Register read() noexcept {
    Register state;
    std::fegetenv(&state);
    return state;
  }
  static Register standard() noexcept {
    std::fesetenv(FE_DFL_ENV);
    return read();
  }
  static void set(const Register& state) noexcept { std::fesetenv(&state); }
#endif

  // Compilers do not know that arithmetic depends on the state: what reads and writes memory must not move across the change.
  static void write(const Register& state) noexcept {
    std::atomic_signal_fence(std::memory_order_seq_cst);
    set(state);
    std::atomic_signal_fence(std::memory_order_seq_cst);
  }

  Register callers_;
};

}  // namespace bimtdp
