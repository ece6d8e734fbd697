// SPDX-License-Identifier: Apache-2.0
// Resizing as PyTorch's interpolate computes it (align_corners=False, float32 index arithmetic). The size of `out` decides.
// Bilinear: source = max((i + 0.5)*in/out - 0.5, 0). Nearest: source = floor(i*in/out).
#pragma once

#include <bimtdp/core/bit_tensor.hpp>
#include <bimtdp/core/tensor.hpp>
#include <bimtdp/kernels/select.hpp>
#include <bimtdp/ops/workspace.hpp>
#include <bimtdp/simd/emulated_fma.hpp>

#include <type_traits>

namespace bimtdp::ops {

namespace detail {

[[nodiscard]] inline Shape resize_shape(const Shape& input, std::size_t height, std::size_t width, std::string_view where) {
  demand(input.elements() > 0, where, "empty input ", input);
  demand(height > 0 && width > 0 && height <= max_extent && width <= max_extent, where, "size (got ", height, "x", width,
         ", expected 1 to ", max_extent, ")");
  demand(input.height <= max_extent && input.width <= max_extent, where, "input ", input, " is above ", max_extent);
  return {height, width, input.channels};
}

/// Input pixels in front of and behind an output position, and how far it lies behind the first.
struct Neighbours {
  std::size_t first = 0, second = 0;
  float fraction = 0.0F;
};

[[nodiscard]] inline Neighbours bilinear_neighbours(std::size_t i, std::size_t in, std::size_t out) noexcept {
  const float scale = static_cast<float>(in) / static_cast<float>(out);
  const float source = (std::max)(simd::exact_fma(scale, static_cast<float>(i) + 0.5F, -0.5F), 0.0F);
  const std::size_t first = (std::min)(static_cast<std::size_t>(source), in - 1);
  return {first, (std::min)(first + 1, in - 1), source - static_cast<float>(first)};
}

[[nodiscard]] inline std::size_t nearest_neighbour(std::size_t i, std::size_t in, std::size_t out) noexcept {
  const float scale = static_cast<float>(in) / static_cast<float>(out);
  return (std::min)(static_cast<std::size_t>(static_cast<float>(i) * scale), in - 1);
}

}  // namespace detail

class ResizeBilinear {
 public:
  /// `height` and `width` are those of the output.
  [[nodiscard]] Shape output_shape(const Shape& input, std::size_t height, std::size_t width) const {
    return detail::resize_shape(input, height, width, where);
  }
  [[nodiscard]] std::size_t scratch_bytes(const Shape& input, std::size_t height, std::size_t width) const {
    return need(output_shape(input, height, width));
  }

  void run(const TensorView<const float>& in, const TensorView<float>& out, const Workspace& workspace) const {
    run_rows(in, out.shape.height, 0, out, workspace);
  }

  /// Rows first_row, first_row + 1, ... of an output of `height` rows: `out` holds these rows alone, `in` is the whole map.
  void run_rows(const TensorView<const float>& in, std::size_t height, std::size_t first_row, const StridedView<float>& out,
                const Workspace& workspace) const {
    check_rows(out.shape, first_row, output_shape(in.shape, height, out.shape.width), where);
    demand(out.stride >= out.shape.channels, where, "stride (got ", out.stride, ", expected at least ", out.shape.channels, ")");
    check_workspace(workspace, need(out.shape), where);
    const std::size_t rows = out.shape.height;
    if (rows == 0) return;
    Scratch scratch(workspace.scratch);
    const Columns columns = make_columns(in.shape, out, *workspace.kernels, scratch);
    const auto neighbours = [&](std::size_t y) { return detail::bilinear_neighbours(first_row + y, in.shape.height, height); };
    const std::size_t sources = neighbours(rows - 1).second - neighbours(0).first + 1;
    if (out.dense() && sources <= rows) return two_passes(in, columns, neighbours, out, scratch);
    for (std::size_t y = 0; y < rows; ++y) {
      const detail::Neighbours n = neighbours(y);
      columns.kernels->resize_row(in.pixel(n.first, 0), in.pixel(n.second, 0), n.fraction, columns.left, columns.right,
                                  columns.fraction, columns.pixels, columns.channels, out.dense() ? columns.channels : out.stride,
                                  out.pixel(y, 0));
    }
  }

 private:
  static constexpr std::string_view where = "resize_bilinear";
  static constexpr std::size_t large = std::size_t{1} << 20;  // values: no cache of one core keeps so many until they are read

  /// The horizontal neighbours of every pixel of a row. Where a dense pixel does not fill a vector, every value counts as a pixel
  /// of one channel.
  struct Columns {
    const kernels::KernelTable* kernels;
    std::uint32_t *left, *right;
    float* fraction;
    std::size_t pixels, channels;
  };
  [[nodiscard]] static Columns make_columns(const Shape& in, const StridedView<float>& view, const kernels::KernelTable& kernels,
                                            Scratch& scratch) noexcept {
    const Shape& out = view.shape;
    const std::size_t repeat = view.dense() && out.channels < kernels.float_lanes ? out.channels : 1, pixels = out.width * repeat;
    const Columns columns{&kernels,
                          scratch.take<std::uint32_t>(pixels),
                          scratch.take<std::uint32_t>(pixels),
                          scratch.take<float>(pixels),
                          pixels,
                          out.channels / repeat};
    for (std::size_t x = 0, i = 0; x < out.width; ++x) {
      const detail::Neighbours n = detail::bilinear_neighbours(x, in.width, out.width);
      for (std::size_t c = 0; c < repeat; ++c, ++i) {
        columns.left[i] = static_cast<std::uint32_t>(n.first * repeat + c);
        columns.right[i] = static_cast<std::uint32_t>(n.second * repeat + c);
        columns.fraction[i] = n.fraction;
      }
    }
    return columns;
  }

  /// Where neighbouring rows share their source rows, each of those is resized horizontally once.
  template <class NeighboursOf>
  void two_passes(const TensorView<const float>& in, const Columns& columns, NeighboursOf&& neighbours,
                  const StridedView<float>& out, Scratch scratch) const noexcept {
    const std::size_t count = out.shape.width * out.shape.channels, none = in.shape.height;
    struct Source {
      std::size_t row;
      float* values;
    } top{none, scratch.take<float>(count)}, bottom{none, scratch.take<float>(count)};
    const auto fill = [&](Source& source, std::size_t row) {
      if (source.row == row) return;
      columns.kernels->resize_columns(in.pixel(row, 0), columns.left, columns.right, columns.fraction, columns.pixels,
                                      columns.channels, source.values);
      source.row = row;
    };
    const bool stream = out.shape.elements() >= large;
    for (std::size_t y = 0; y < out.shape.height; ++y) {
      const detail::Neighbours n = neighbours(y);
      if (bottom.row == n.first) std::swap(top, bottom);
      fill(top, n.first);
      if (n.second != n.first) fill(bottom, n.second);
      columns.kernels->resize_rows(top.values, n.second == n.first ? top.values : bottom.values, n.fraction, count, stream,
                                   out.pixel(y, 0));
    }
  }

  [[nodiscard]] static std::size_t need(const Shape& out) {
    const std::size_t pixels = out.width * (out.channels < kernels::most_lanes ? out.channels : 1);
    return 2 * scratch_size<std::uint32_t>(pixels) + scratch_size<float>(pixels) +
           2 * scratch_size<float>(out.width * out.channels);
  }
};

class ResizeNearest {
 public:
  [[nodiscard]] Shape output_shape(const Shape& input, std::size_t height, std::size_t width) const {
    return detail::resize_shape(input, height, width, where);
  }

  void run(const TensorView<const float>& in, const TensorView<float>& out, const Workspace& workspace) const {
    run_rows(in, out.shape.height, 0, out, workspace);
  }
  template <class Word>
  void run(const std::type_identity_t<BitView<const Word>>& in, const BitView<Word>& out, const Workspace& workspace) const {
    run_rows(in, out.shape.height, 0, out, workspace);
  }

  /// Rows first_row, first_row + 1, ... of an output of `height` rows: `out` holds these rows alone, `in` is the whole map.
  void run_rows(const TensorView<const float>& in, std::size_t height, std::size_t first_row, const TensorView<float>& out,
                const Workspace& workspace) const {
    copy_pixels(in.data, in.shape.channels, in.shape, height, first_row, out.data, out.shape, workspace);
  }
  template <class Word>
  void run_rows(const std::type_identity_t<BitView<const Word>>& in, std::size_t height, std::size_t first_row,
                const BitView<Word>& out, const Workspace& workspace) const {
    debug_check_tail(in, where);
    copy_pixels(in.data, in.words(), in.shape, height, first_row, out.data, out.shape, workspace);
  }

 private:
  static constexpr std::string_view where = "resize_nearest";

  template <class T>
  void copy_pixels(const T* in, std::size_t values, const Shape& input, std::size_t height, std::size_t first_row, T* out,
                   const Shape& output, const Workspace& workspace) const {
    check_rows(output, first_row, output_shape(input, height, output.width), where);
    check_workspace(workspace, 0, where);
    for (std::size_t y = 0; y < output.height; ++y) {
      const T* row = in + detail::nearest_neighbour(first_row + y, input.height, height) * input.width * values;
      for (std::size_t x = 0; x < output.width; ++x)
        std::copy_n(row + detail::nearest_neighbour(x, input.width, output.width) * values, values,
                    out + (y * output.width + x) * values);
    }
  }
};

/// One call each: allocates and runs.
[[nodiscard]] inline Tensor<float> resize_bilinear(const TensorView<const float>& in, std::size_t height, std::size_t width,
                                                   const kernels::KernelTable& kernels = kernels::active()) {
  const ResizeBilinear resize;
  Tensor<float> out(resize.output_shape(in.shape, height, width));
  resize.run(in, out, OwnWorkspace(kernels, resize.scratch_bytes(in.shape, height, width)));
  return out;
}
[[nodiscard]] inline Tensor<float> resize_nearest(const TensorView<const float>& in, std::size_t height, std::size_t width,
                                                  const kernels::KernelTable& kernels = kernels::active()) {
  const ResizeNearest resize;
  Tensor<float> out(resize.output_shape(in.shape, height, width));
  resize.run(in, out.view(), OwnWorkspace(kernels));
  return out;
}
template <class Word>
[[nodiscard]] BitTensor<Word> resize_nearest(const BitTensor<Word>& in, std::size_t height, std::size_t width,
                                             const kernels::KernelTable& kernels = kernels::active()) {
  const ResizeNearest resize;
  BitTensor<Word> out(resize.output_shape(in.shape(), height, width));
  resize.run(in.view(), out.view(), OwnWorkspace(kernels));
  return out;
}

}  // namespace bimtdp::ops
