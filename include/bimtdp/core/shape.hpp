// SPDX-License-Identifier: Apache-2.0
// Shape of a map and geometry of a sliding window.
// Maps are stored height x width x channels (HWC), channels fastest.
#pragma once

#include <bimtdp/core/error.hpp>

#include <array>
#include <cstddef>
#include <ostream>
#include <string_view>

namespace bimtdp {

struct Shape {
  std::size_t height = 0;
  std::size_t width = 0;
  std::size_t channels = 0;

  [[nodiscard]] constexpr std::size_t pixels() const { return height * width; }
  [[nodiscard]] constexpr std::size_t elements() const { return pixels() * channels; }
  friend constexpr bool operator==(const Shape&, const Shape&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Shape& s) {
    return out << s.height << 'x' << s.width << 'x' << s.channels;
  }
};

/// Throws Error unless `part` has the shape of rows first, first + 1, ... of a map of shape `whole`.
inline void check_rows(const Shape& part, std::size_t first, const Shape& whole, std::string_view where) {
  const bool inside = first <= whole.height && part.height <= whole.height - first;
  demand(inside && part.width == whole.width && part.channels == whole.channels, where, "rows (got ", part, " from row ", first,
         " on, expected rows of ", whole, ")");
}

/// Zero padding on each side, in input pixels.
struct Padding {
  std::size_t top = 0, bottom = 0, left = 0, right = 0;
  friend constexpr bool operator==(const Padding&, const Padding&) = default;
};

/// Kernel size, stride and dilation as {vertical, horizontal}, and the padding: PyTorch's conventions.
struct Window {
  std::array<std::size_t, 2> kernel{1, 1};
  std::array<std::size_t, 2> stride{1, 1};
  std::array<std::size_t, 2> dilation{1, 1};
  Padding padding{};

  [[nodiscard]] constexpr std::size_t taps() const { return kernel[0] * kernel[1]; }
  friend constexpr bool operator==(const Window&, const Window&) = default;
};

/// The largest extent (height, width, channels, kernel, stride, dilation, padding) that any op accepts.
inline constexpr std::size_t max_extent = std::size_t{1} << 20;

/// Output extent of a window along one axis: floor((input + before + after - dilation*(kernel-1) - 1) / stride) + 1.
/// Throws Error when the window does not fit or a parameter is 0 or above max_extent.
[[nodiscard]] inline std::size_t window_extent(std::size_t input, std::size_t kernel, std::size_t stride, std::size_t dilation,
                                               std::size_t before, std::size_t after, std::string_view where) {
  demand(input > 0 && kernel > 0 && stride > 0 && dilation > 0, where, "input, kernel, stride and dilation must be positive");
  demand(input <= max_extent && kernel <= max_extent && stride <= max_extent && dilation <= max_extent && before <= max_extent &&
             after <= max_extent,
         where, "an extent is above ", max_extent);
  const std::size_t reach = dilation * (kernel - 1) + 1;  // below 2^41: no overflow after the checks above
  const std::size_t padded = input + before + after;
  demand(padded >= reach, where, "window does not fit into the padded input (got ", reach, " pixels, expected at most ", padded,
         ")");
  return (padded - reach) / stride + 1;
}

/// Shape of the map that a window makes of `input`, with `channels` output channels. Throws Error as window_extent does.
[[nodiscard]] inline Shape window_shape(const Shape& input, const Window& w, std::size_t channels, std::string_view where) {
  return {window_extent(input.height, w.kernel[0], w.stride[0], w.dilation[0], w.padding.top, w.padding.bottom, where),
          window_extent(input.width, w.kernel[1], w.stride[1], w.dilation[1], w.padding.left, w.padding.right, where), channels};
}

}  // namespace bimtdp
