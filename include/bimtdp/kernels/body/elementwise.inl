// SPDX-License-Identifier: Apache-2.0
// Sums and products.

inline void add(const float* a, const float* b, std::size_t count, float* out) noexcept {
  for_lanes(count, [&](std::size_t i, auto part) { (Floats::load(a + i, part) + Floats::load(b + i, part)).store(out + i, part); });
}

inline void multiply(const float* a, const float* b, std::size_t count, float* out) noexcept {
  for_lanes(count, [&](std::size_t i, auto part) { (Floats::load(a + i, part) * Floats::load(b + i, part)).store(out + i, part); });
}
