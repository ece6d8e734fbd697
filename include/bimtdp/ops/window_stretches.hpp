// SPDX-License-Identifier: Apache-2.0
// Where the taps of a window fall. A stretch is output pixels of one row, side by side, whose taps inside the image are the same, a
// rectangle the same of several rows; padding is exact because the taps outside are left out.
#pragma once

#include <bimtdp/core/checked.hpp>
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
  [[nodiscard]] std::size_t stretch_end(std::size_t o) const noexcept {
    std::size_t end = output;
    for (std::size_t k = 0; k < kernel; ++k)
      for (const std::size_t edge : {before, before + input}) {
        const std::size_t reach = k * dilation;
        const std::size_t first = reach >= edge ? 0 : (edge - reach + stride - 1) / stride;  // first output at or behind the edge
        if (first > o) end = (std::min)(end, first);
      }
    return end;
  }
  /// An output with no tap inside, or `output` where all have one.
  [[nodiscard]] std::size_t an_output_outside() const noexcept {
    if (dilation <= input) {  // neighbouring taps cannot step over the input: the first and the last output decide
      if (dilation * (kernel - 1) < before) return 0;
      return (output - 1) * stride < before + input ? output : output - 1;
    }
    for (std::size_t o = 0; o < output; ++o) {
      const std::size_t start = o * stride;  // in padded coordinates: the input lies at before .. before + input - 1
      const std::size_t k = start >= before ? 0 : (before - start + dilation - 1) / dilation;
      if (k >= kernel || start + k * dilation >= before + input) return o;
    }
    return output;
  }
};

/// Output pixels whose taps inside the image are the same.
struct Rectangle {
  std::size_t y = 0, x = 0, rows = 0, columns = 0;
};

/// Throws Error unless `least` <= value <= max_extent.
inline void check_extent(std::string_view name, std::size_t value, std::string_view where, std::size_t least = 1) {
  demand(value >= least && value <= max_extent, where, name, " (got ", value, ", expected ", least, " to ", max_extent, ")");
}

/// Throws Error unless kernel, stride, dilation and padding are within their bounds. Whether the window fits an input is
/// window_shape's to say.
inline void check_window(const Window& w, std::string_view where) {
  for (const std::size_t axis : {0U, 1U}) {
    check_extent("kernel", w.kernel[axis], where);
    check_extent("stride", w.stride[axis], where);
    check_extent("dilation", w.dilation[axis], where);
  }
  for (const std::size_t side : {w.padding.top, w.padding.bottom, w.padding.left, w.padding.right})
    check_extent("padding", side, where, 0);
}

/// The longest dot product: sums of +-1 stay exact in float32 up to 2^24.
inline constexpr std::size_t max_dot_length = std::size_t{1} << 24;

/// Throws Error unless these are parameters of a convolution. Returns the products a sum: taps times channels of a group.
inline std::size_t check_convolution(const Window& window, std::size_t groups, std::size_t in_channels, std::size_t out_channels,
                                     std::string_view where) {
  check_window(window, where);
  check_extent("input channels", in_channels, where);
  check_extent("output channels", out_channels, where);
  check_extent("groups", groups, where);
  demand(in_channels % groups == 0 && out_channels % groups == 0, where, "groups (got ", groups, ", expected a divisor of ",
         in_channels, " inputs and ", out_channels, " outputs)");
  const Checked length = Checked(window.kernel[0]) * window.kernel[1] * (in_channels / groups);
  demand(length <= Checked(max_dot_length), where, "kernel too large (got ", length.value(), " products a sum, expected at most ",
         max_dot_length, ")");
  return length.size();
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

class WindowStretches {
 public:
  /// Throws Error as window_extent does, or where the output would be larger than max_extent.
  WindowStretches(const Shape& input, const Window& w, std::string_view where) {
    const Shape output = window_shape(input, w, input.channels, where);
    demand(output.height <= max_extent && output.width <= max_extent, where, "output of ", output, " is above ", max_extent);
    rows_ = {input.height, output.height, w.kernel[0], w.stride[0], w.dilation[0], w.padding.top};
    columns_ = {input.width, output.width, w.kernel[1], w.stride[1], w.dilation[1], w.padding.left};
  }

  [[nodiscard]] const WindowAxis& rows() const noexcept { return rows_; }
  [[nodiscard]] const WindowAxis& columns() const noexcept { return columns_; }
  [[nodiscard]] Shape output(std::size_t channels) const noexcept { return {rows_.output, columns_.output, channels}; }
  /// No stretch has more taps than this.
  [[nodiscard]] std::size_t max_taps() const noexcept {
    return (std::min)(rows_.kernel, rows_.input) * (std::min)(columns_.kernel, columns_.input);
  }

  /// Calls visit(first pixel, pixels) for the stretches of a row, cut into pieces of at most `longest` pixels.
  template <class Visit>
  void for_each_stretch(std::size_t longest, Visit&& visit) const noexcept {
    for (std::size_t x = 0; x < columns_.output;) {
      const std::size_t end = columns_.stretch_end(x);
      for (; x < end; x += (std::min)(longest, end - x)) visit(x, (std::min)(longest, end - x));
    }
  }

  /// Calls visit(Rectangle) for rectangles of at most `most_rows` rows that make up output rows first to end - 1.
  template <class Visit>
  void for_each_rectangle(std::size_t first, std::size_t end, std::size_t most_rows, Visit&& visit) const noexcept {
    for (std::size_t y = first, below = 0; y < end; y = below) {
      below = (std::min)({end, y + most_rows, rows_.stretch_end(y)});
      for (std::size_t x = 0, right = 0; x < columns_.output; x = right) {
        right = columns_.stretch_end(x);
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
