// SPDX-License-Identifier: Apache-2.0
// The walk that every body uses: channels in vectors.

/// step(i, part) for i = 0, width, 2 width, ... < count; the last part is partial where count is no multiple.
template <class Step>
inline void for_lanes(std::size_t count, Step step) noexcept {
  std::size_t i = 0;
  for (; i + Floats::width <= count; i += Floats::width) step(i, Whole{});
  if (i < count) step(i, Part::first(count - i));
}
