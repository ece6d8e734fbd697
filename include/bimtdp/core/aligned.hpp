// SPDX-License-Identifier: Apache-2.0
// 64-byte aligned storage, the same in every build whatever its compiler flags.
#pragma once

#include <cstddef>
#include <limits>
#include <new>
#include <vector>

namespace bimtdp {

/// One cache line and the widest vector register; a constant, so that layouts never depend on flags.
inline constexpr std::size_t alignment = 64;

template <class T>
struct AlignedAllocator {
  using value_type = T;

  AlignedAllocator() = default;
  template <class U>
  AlignedAllocator(const AlignedAllocator<U>&) noexcept {}

  [[nodiscard]] T* allocate(std::size_t count) {
    if (count > (std::numeric_limits<std::size_t>::max)() / sizeof(T)) throw std::bad_array_new_length();
    return static_cast<T*>(::operator new (count * sizeof(T), std::align_val_t{alignment}));
  }
  void deallocate(T* pointer, std::size_t) noexcept { ::operator delete (pointer, std::align_val_t{alignment}); }

  template <class U>
  bool operator==(const AlignedAllocator<U>&) const noexcept {
    return true;
  }
};

template <class T>
using AlignedVector = std::vector<T, AlignedAllocator<T>>;

/// The smallest multiple of `step` that is not below `value`; for extents that were already checked.
[[nodiscard]] constexpr std::size_t round_up(std::size_t value, std::size_t step) { return (value + step - 1) / step * step; }

}  // namespace bimtdp
