// SPDX-License-Identifier: Apache-2.0
// Where the taps of a window fall. A run is a stretch of output pixels of one row whose taps inside the image are the same, a
// rectangle the same of several rows; padding is exact because the taps outside are left out.
#pragma once

#include <bimtdp/core/shape.hpp>
#include <bimtdp/kernels/table.hpp>

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace bimtdp::ops {

/// One axis of a window: tap k of output o reads input o*stride + k*dilation - before, if that is inside.
struct WindowAxis {
  std::size_t input = 0, output = 0, kernel = 0, stride = 1, dilation = 1, before = 0;

  [[nodiscard]] bool inside(std::size_t o, std::size_t k) const noexcept {
    const std::size_t position = o * stride + k * dilation;
    return position >= before && position - before < input;
  }
  /// Only for taps inside.
  [[nodiscard]] std::size_t position(std::size_t o, std::size_t k) const noexcept { return o * stride + k * dilation - before; }
  /// The first output behind `o` whose taps inside differ from those of `o`, or `output`.
  [[nodiscard]] std::size_t run_end(std::size_t o) const noexcept {
    std::size_t end = output;
    for (std::size_t k = 0; k < kernel; ++k)
      for (const std::size_t edge : {before, before + input}) {
        const std::size_t reach = k * dilation;
        const std::size_t first = reach >= edge ? 0 : (edge - reach + stride - 1) / stride;  // first output at or behind the edge
        if (first > o) end = std::min(end, first);
      }
    return end;
  }
  /// Whether every output has a tap inside.
  [[nodiscard]] bool always_inside() const noexcept {
    for (std::size_t o = 0; o < output; o = run_end(o)) {
      bool found = false;
      for (std::size_t k = 0; k < kernel && !found; ++k) found = inside(o, k);
      if (!found) return false;
    }
    return true;
  }
};

/// Output pixels whose taps inside the image are the same.
struct Rectangle {
  std::size_t y = 0, x = 0, rows = 0, columns = 0;
};

/// Throws Error unless these are parameters of a convolution.
inline void check_convolution(const Window& window, std::size_t groups, std::size_t in_channels, std::size_t out_channels,
                              std::string_view where) {
  check(groups > 0 && in_channels > 0 && out_channels > 0, where, "groups and channels must be positive");
  check(in_channels <= max_extent && out_channels <= max_extent, where, "channels (got ", in_channels, " and ", out_channels,
        ", expected at most ", max_extent, ")");
  check(in_channels % groups == 0 && out_channels % groups == 0, where, "channels ", in_channels, " and ", out_channels,
        " are not multiples of ", groups, " groups");
  check(window.kernel[0] > 0 && window.kernel[1] > 0 && window.kernel[0] <= max_extent && window.kernel[1] <= max_extent, where,
        "kernel (got ", window.kernel[0], "x", window.kernel[1], ", expected 1 to ", max_extent, ")");
}

/// Joins taps that lie side by side in the input and in the kernel, `depth` values each; returns how many each tap now stands
/// for. All rows of a window have the same columns inside, so the answer is one number.
template <class T>
std::size_t join_neighbours(kernels::Tap<T>* taps, std::size_t& count, std::size_t depth) noexcept {
  std::size_t together = std::min<std::size_t>(count, 1);
  while (together < count && taps[together].pixel == taps[0].pixel + together * depth &&
         taps[together].index == taps[0].index + together)
    ++together;
  if (together > 1)
    for (std::size_t i = 0; i * together < count; ++i) taps[i] = taps[i * together];
  if (together > 1) count /= together;
  return together;
}

class WindowRuns {
 public:
  /// Throws Error as window_extent does, or where the output would be larger than max_extent.
  WindowRuns(const Shape& input, const Window& w, std::string_view where) {
    const Shape output = window_shape(input, w, input.channels, where);
    check(output.height <= max_extent && output.width <= max_extent, where, "output of ", output, " is above ", max_extent);
    rows_ = {input.height, output.height, w.kernel[0], w.stride[0], w.dilation[0], w.padding.top};
    columns_ = {input.width, output.width, w.kernel[1], w.stride[1], w.dilation[1], w.padding.left};
  }

  [[nodiscard]] const WindowAxis& rows() const noexcept { return rows_; }
  [[nodiscard]] const WindowAxis& columns() const noexcept { return columns_; }
  [[nodiscard]] Shape output(std::size_t channels) const noexcept { return {rows_.output, columns_.output, channels}; }
  /// No run has more taps than this.
  [[nodiscard]] std::size_t max_taps() const noexcept {
    return std::min(rows_.kernel, rows_.input) * std::min(columns_.kernel, columns_.input);
  }

  /// Calls visit(first pixel, pixels) for the runs of a row, cut into pieces of at most `longest` pixels.
  template <class Visit>
  void for_each_run(std::size_t longest, Visit&& visit) const noexcept {
    for (std::size_t x = 0; x < columns_.output;) {
      const std::size_t end = columns_.run_end(x);
      for (; x < end; x += std::min(longest, end - x)) visit(x, std::min(longest, end - x));
    }
  }

  /// Calls visit(Rectangle) for rectangles of at most `most_rows` rows that make up output rows first to end - 1.
  template <class Visit>
  void for_each_rectangle(std::size_t first, std::size_t end, std::size_t most_rows, Visit&& visit) const noexcept {
    for (std::size_t y = first, below = 0; y < end; y = below) {
      below = std::min({end, y + most_rows, rows_.run_end(y)});
      for (std::size_t x = 0, right = 0; x < columns_.output; x = right) {
        right = columns_.run_end(x);
        visit(Rectangle{y, x, below - y, right - x});
      }
    }
  }

  /// Writes the taps inside of output pixel (y, x) in row-major order and returns their number; pixels of the input lie
  /// `pixel_stride` values apart.
  template <class T>
  std::size_t taps(std::size_t y, std::size_t x, const T* input, std::size_t pixel_stride, kernels::Tap<T>* taps) const noexcept {
    std::size_t count = 0;
    for (std::size_t ky = 0; ky < rows_.kernel; ++ky) {
      if (!rows_.inside(y, ky)) continue;
      for (std::size_t kx = 0; kx < columns_.kernel; ++kx) {
        if (!columns_.inside(x, kx)) continue;
        const std::size_t pixel = rows_.position(y, ky) * columns_.input + columns_.position(x, kx);
        taps[count++] = {input + pixel * pixel_stride, ky * columns_.kernel + kx};
      }
    }
    return count;
  }

 private:
  WindowAxis rows_, columns_;
};

}  // namespace bimtdp::ops
