// SPDX-License-Identifier: Apache-2.0
// PlainBatch: four numbers with as much of xsimd's batch as the baseline needs, in plain C++, for architectures without vectors or
// whose vectors xsimd does not know. The compiler makes of it what the machine has.
#pragma once

#include <bimtdp/simd/target.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

BIMTDP_EXACT_BEGIN
namespace bimtdp::simd::inline BIMTDP_ABI {

/// One truth a lane.
struct PlainMask {
  std::array<bool, 4> lanes;
  void store_unaligned(bool* p) const noexcept { std::copy(lanes.begin(), lanes.end(), p); }
};

template <class T>
struct PlainBatch {
  using register_type = std::array<T, 4>;
  using batch_bool_type = PlainMask;
  static constexpr std::size_t size = 4;

  register_type lanes;

  PlainBatch() = default;
  explicit PlainBatch(T x) noexcept { lanes.fill(x); }
  explicit PlainBatch(const register_type& x) noexcept : lanes(x) {}
  operator register_type() const noexcept { return lanes; }

  [[nodiscard]] static PlainBatch load_unaligned(const T* p) noexcept {
    PlainBatch batch;
    std::copy_n(p, size, batch.lanes.begin());
    return batch;
  }
  [[nodiscard]] static PlainBatch load_aligned(const T* p) noexcept { return load_unaligned(p); }
  void store_unaligned(T* p) const noexcept { std::copy(lanes.begin(), lanes.end(), p); }
  void store_aligned(T* p) const noexcept { store_unaligned(p); }
};

#define BIMTDP_PLAIN(op, result_type, element_type)                                                            \
  template <class T>                                                                                           \
  [[nodiscard]] inline result_type operator op(const PlainBatch<T>& a, const PlainBatch<T>& b) noexcept {      \
    result_type result;                                                                                        \
    for (std::size_t i = 0; i < 4; ++i) result.lanes[i] = static_cast<element_type>(a.lanes[i] op b.lanes[i]); \
    return result;                                                                                             \
  }
BIMTDP_PLAIN(+, PlainBatch<T>, T)
BIMTDP_PLAIN(-, PlainBatch<T>, T)
BIMTDP_PLAIN(*, PlainBatch<T>, T)
BIMTDP_PLAIN(/, PlainBatch<T>, T)
BIMTDP_PLAIN(&, PlainBatch<T>, T)
BIMTDP_PLAIN(|, PlainBatch<T>, T)
BIMTDP_PLAIN(^, PlainBatch<T>, T)
BIMTDP_PLAIN(>, PlainMask, bool)
BIMTDP_PLAIN(>=, PlainMask, bool)
BIMTDP_PLAIN(!=, PlainMask, bool)
#undef BIMTDP_PLAIN

/// Integers may wrap: shifted as bits, to the right with the sign as xsimd does.
template <class T>
[[nodiscard]] inline PlainBatch<T> operator<<(PlainBatch<T> a, int n) noexcept {
  for (T& x : a.lanes) x = static_cast<T>(static_cast<std::uint32_t>(x) << n);
  return a;
}
template <class T>
[[nodiscard]] inline PlainBatch<T> operator>>(PlainBatch<T> a, int n) noexcept {
  for (T& x : a.lanes) x = static_cast<T>(x >> n);
  return a;
}
template <class T>
[[nodiscard]] inline PlainBatch<T> operator~(PlainBatch<T> a) noexcept {
  for (T& x : a.lanes) x = static_cast<T>(~x);
  return a;
}

[[nodiscard]] inline PlainMask operator|(PlainMask a, const PlainMask& b) noexcept {
  for (std::size_t i = 0; i < 4; ++i) a.lanes[i] = a.lanes[i] || b.lanes[i];
  return a;
}
[[nodiscard]] inline PlainMask operator&(PlainMask a, const PlainMask& b) noexcept {
  for (std::size_t i = 0; i < 4; ++i) a.lanes[i] = a.lanes[i] && b.lanes[i];
  return a;
}

template <class T>
[[nodiscard]] inline PlainMask isnan(const PlainBatch<T>& a) noexcept {
  return a != a;
}
template <class T>
[[nodiscard]] inline PlainBatch<T> select(const PlainMask& m, PlainBatch<T> yes, const PlainBatch<T>& no) noexcept {
  for (std::size_t i = 0; i < 4; ++i)
    if (!m.lanes[i]) yes.lanes[i] = no.lanes[i];
  return yes;
}
[[nodiscard]] inline PlainBatch<float> to_float(const PlainBatch<std::int32_t>& a) noexcept {
  PlainBatch<float> result;
  std::copy(a.lanes.begin(), a.lanes.end(), result.lanes.begin());
  return result;
}

}  // namespace bimtdp::simd::inline BIMTDP_ABI
BIMTDP_EXACT_END
