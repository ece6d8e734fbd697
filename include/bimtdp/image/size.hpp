// SPDX-License-Identifier: Apache-2.0
// Which size a photo runs at, and which size it is shown at.
#pragma once

#include <bimtdp/core/error.hpp>
#include <bimtdp/core/shape.hpp>
#include <bimtdp/simd/float_state.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <ostream>
#include <string_view>

namespace bimtdp {

/// Height and width in pixels.
struct Size {
  std::size_t height = 0, width = 0;

  [[nodiscard]] constexpr std::size_t pixels() const { return height * width; }
  friend constexpr bool operator==(const Size&, const Size&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Size& s) { return out << s.height << 'x' << s.width; }
};

[[nodiscard]] constexpr Size size_of(const Shape& shape) { return {shape.height, shape.width}; }

namespace detail {

inline void check_size(const Size& size, std::string_view where) {
  demand(size.height > 0 && size.width > 0 && size.height <= max_extent && size.width <= max_extent, where, "size (got ", size,
         ", expected 1 to ", max_extent, " pixels a side)");
}

/// Both sides times `scale`, rounded, within 1 to `most`.
[[nodiscard]] inline Size scaled(const Size& size, double scale, std::size_t most) {
  const auto side = [&](std::size_t extent) {
    return std::clamp<std::size_t>(static_cast<std::size_t>(std::lround(static_cast<double>(extent) * scale)), 1, most);
  };
  return {side(size.height), side(size.width)};
}

}  // namespace detail

/// The multiple of `stride` nearest to `extent`, at least one stride: an extent that a network takes.
[[nodiscard]] inline std::size_t nearest_multiple(std::size_t extent, std::size_t stride) {
  demand(stride > 0, "nearest_multiple", "stride must be positive");
  return std::max<std::size_t>(1, (extent + stride / 2) / stride) * stride;
}
/// The same for both sides. Throws Error for a side of 0 or above max_extent.
[[nodiscard]] inline Size nearest_multiple(const Size& size, std::size_t stride) {
  detail::check_size(size, "nearest_multiple");
  return {nearest_multiple(size.height, stride), nearest_multiple(size.width, stride)};
}

/// The size that a network runs a photo at: the area of `preferred` (where that is 0 x 0, of 240 x 320) at the photo's
/// proportions, rounded to multiples of `stride`. Throws Error for a photo with a side of 0 or above max_extent.
[[nodiscard]] inline Size network_size(const Size& photo, const Size& preferred, std::size_t stride) {
  const FloatState standard;
  detail::check_size(photo, "network_size");
  constexpr Size usual{240, 320};
  const double area = static_cast<double>(preferred.height > 0 ? preferred.pixels() : usual.pixels());
  const double scale = std::sqrt(area / static_cast<double>(photo.pixels()));
  return nearest_multiple(detail::scaled(photo, scale, max_extent / 2), stride);
}

/// The largest size with the photo's proportions and at most `longest` pixels a side; the photo's own where that is smaller.
/// Throws Error for a photo with a side of 0 or above max_extent, or where `longest` is 0.
[[nodiscard]] inline Size size_within(const Size& photo, std::size_t longest) {
  const FloatState standard;
  detail::check_size(photo, "size_within");
  demand(longest > 0, "size_within", "longest side must be positive");
  const double most = static_cast<double>((std::max)(photo.height, photo.width));
  return detail::scaled(photo, (std::min)(1.0, static_cast<double>(longest) / most), max_extent);
}

}  // namespace bimtdp
