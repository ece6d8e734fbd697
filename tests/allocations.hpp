// SPDX-License-Identifier: Apache-2.0
// Replaces operator new, to count what a program allocates and to let allocations fail. Included by one file of a program.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <limits>
#include <new>

namespace test {

inline std::atomic<std::size_t> allocations{0};      ///< made so far
inline std::atomic<std::size_t> allocated_bytes{0};  ///< of them together
inline std::atomic<std::ptrdiff_t> alive{0};         ///< made and not freed
inline std::atomic<std::size_t> failed{0};           ///< of them, those that were let fail
/// Those from first to last fail, counted as `allocations` counts.
inline std::atomic<std::size_t> first_failing{std::numeric_limits<std::size_t>::max()};
inline std::atomic<std::size_t> last_failing{std::numeric_limits<std::size_t>::max()};

inline void* allocate(std::size_t size, std::size_t alignment) noexcept {
  const std::size_t number = ++allocations;
  if (number >= first_failing && number <= last_failing) {
    ++failed;
    return nullptr;
  }
  void* p = alignment == 0 ? std::malloc(size > 0 ? size : 1) : std::aligned_alloc(alignment, (size / alignment + 1) * alignment);
  if (p != nullptr) {
    ++alive;
    allocated_bytes += size;
  }
  return p;
}
inline void release(void* p) noexcept {
  if (p != nullptr) --alive;
  std::free(p);
}

}  // namespace test

// Not inlined: GCC would warn of a mismatch of allocation and deallocation where it sees one of them only.
#define NOT_INLINED __attribute__((noinline))
NOT_INLINED void* operator new(std::size_t size) {
  if (void* p = test::allocate(size, 0)) return p;
  throw std::bad_alloc();
}
NOT_INLINED void* operator new(std::size_t size, std::align_val_t align) {
  if (void* p = test::allocate(size, static_cast<std::size_t>(align))) return p;
  throw std::bad_alloc();
}
NOT_INLINED void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return test::allocate(size, 0); }
NOT_INLINED void operator delete(void* p) noexcept { test::release(p); }
NOT_INLINED void operator delete(void* p, const std::nothrow_t&) noexcept { test::release(p); }
NOT_INLINED void operator delete(void* p, std::size_t) noexcept { test::release(p); }
NOT_INLINED void operator delete(void* p, std::align_val_t) noexcept { test::release(p); }
NOT_INLINED void operator delete(void* p, std::size_t, std::align_val_t) noexcept { test::release(p); }
#undef NOT_INLINED
