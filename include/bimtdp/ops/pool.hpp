// SPDX-License-Identifier: Apache-2.0
// Pooling with PyTorch's rules: padding never takes part in a maximum, and counts in an average only on request.
#pragma once

#include <bimtdp/core/bit_tensor.hpp>
#include <bimtdp/core/tensor.hpp>
#include <bimtdp/kernels/select.hpp>
#include <bimtdp/ops/window_stretches.hpp>
#include <bimtdp/ops/workspace.hpp>

#include <type_traits>

namespace bimtdp::ops {

namespace detail {

/// The stretches of a pooling window; throws Error unless every window sees a pixel.
[[nodiscard]] inline WindowStretches pool_stretches(const Shape& input, const Window& window, std::string_view where) {
  demand(input.elements() > 0, where, "empty input ", input);
  const WindowStretches stretches(input, window, where);
  for (const WindowAxis& axis : {stretches.rows(), stretches.columns()}) {
    demand(axis.dilation <= axis.input || axis.output <= 65536, where, "dilation (got ", axis.dilation, " for an input of ",
           axis.input, " pixels)");  // else looking at every window takes long
    const std::size_t outside = axis.an_output_outside();
    demand(outside == axis.output, where, "window ", outside, " lies in the padding altogether");
  }
  return stretches;
}

template <class T>
[[nodiscard]] std::size_t pool_scratch(const WindowStretches& stretches) {
  return scratch_size<kernels::Tap<T>>(stretches.max_taps());
}

/// Rows first_row, first_row + 1, ...: finish(row of `out`, x, pixels, tap count, taps) for every stretch of pixels.
template <class T, class Finish>
void pool_rows(const WindowStretches& stretches, const T* in, std::size_t pixel_stride, std::size_t first_row, const Shape& out,
               const Workspace& workspace, std::string_view where, Finish&& finish) {
  check_rows(out, first_row, stretches.output(out.channels), where);
  check_workspace(workspace, pool_scratch<T>(stretches), where);
  auto* taps = Scratch(workspace.scratch).take<kernels::Tap<T>>(stretches.max_taps());
  for (std::size_t y = 0; y < out.height; ++y)
    stretches.for_each_stretch(out.width, [&](std::size_t x, std::size_t pixels) {
      const std::size_t count = stretches.taps(first_row + y, x, in, pixel_stride, taps);
      finish(y, x, pixels, count, taps);
    });
}

}  // namespace detail

/// Shape of the map that a pooling window makes of `input`. Throws Error unless every window sees a pixel.
[[nodiscard]] inline Shape pool_shape(const Shape& input, const Window& window, std::string_view where) {
  return detail::pool_stretches(input, window, where).output(input.channels);
}

/// Maximum over a window; on bits the OR of its pixels. Every window must see at least one pixel.
class MaxPool2d {
 public:
  explicit MaxPool2d(const Window& window) : window_(window) {}

  [[nodiscard]] Shape output_shape(const Shape& input) const { return pool_shape(input, window_, where); }
  [[nodiscard]] std::size_t scratch_bytes(const Shape& input) const {
    return detail::pool_scratch<std::uint64_t>(detail::pool_stretches(input, window_, where));
  }

  void run(const TensorView<const float>& in, const TensorView<float>& out, const Workspace& workspace) const {
    check_equal(out.shape, output_shape(in.shape), where, "output shape");
    run_rows(in, 0, out, workspace);
  }
  template <class Word>
  void run(const std::type_identity_t<BitView<const Word>>& in, const BitView<Word>& out, const Workspace& workspace) const {
    check_equal(out.shape, output_shape(in.shape), where, "output shape");
    run_rows(in, 0, out, workspace);
  }

  /// Output rows first_row, first_row + 1, ...: `out` holds these rows alone, `in` is the whole map.
  void run_rows(const TensorView<const float>& in, std::size_t first_row, const TensorView<float>& out,
                const Workspace& workspace) const {
    const std::size_t channels = in.shape.channels;
    detail::pool_rows(
        detail::pool_stretches(in.shape, window_, where), in.data, channels, first_row, out.shape, workspace, where,
        [&](std::size_t y, std::size_t x, std::size_t pixels, std::size_t count, const auto* taps) {
          workspace.kernels->max_pool({taps, count, channels, window_.stride[1] * channels, pixels, nullptr}, out.pixel(y, x));
        });
  }
  template <class Word>
  void run_rows(const std::type_identity_t<BitView<const Word>>& in, std::size_t first_row, const BitView<Word>& out,
                const Workspace& workspace) const {
    debug_check_tail(in, where);
    const std::size_t words = in.words(), step = window_.stride[1] * words;
    detail::pool_rows(detail::pool_stretches(in.shape, window_, where), in.data, words, first_row, out.shape, workspace, where,
                      [&](std::size_t y, std::size_t x, std::size_t pixels, std::size_t count, const auto* taps) {
                        for (std::size_t p = 0; p < pixels; ++p)
                          for (std::size_t w = 0; w < words; ++w) {
                            Word any = 0;
                            for (std::size_t t = 0; t < count; ++t) any = static_cast<Word>(any | taps[t].pixel[p * step + w]);
                            out.pixel(y, x + p)[w] = any;
                          }
                      });
  }

 private:
  static constexpr std::string_view where = "max_pool2d";
  Window window_;
};

/// Average over a window (dilation 1): the sum divided by the window's size where the padding counts, else by its pixels inside.
class AveragePool2d {
 public:
  AveragePool2d(const Window& window, bool count_include_pad) : window_(window), count_include_pad_(count_include_pad) {
    demand(window.dilation == std::array<std::size_t, 2>{1, 1}, where, "dilation must be 1");
  }

  [[nodiscard]] Shape output_shape(const Shape& input) const { return pool_shape(input, window_, where); }
  [[nodiscard]] std::size_t scratch_bytes(const Shape& input) const {
    return detail::pool_scratch<float>(detail::pool_stretches(input, window_, where));
  }

  void run(const TensorView<const float>& in, const TensorView<float>& out, const Workspace& workspace) const {
    check_equal(out.shape, output_shape(in.shape), where, "output shape");
    run_rows(in, 0, out, workspace);
  }

  /// Output rows first_row, first_row + 1, ...: `out` holds these rows alone, `in` is the whole map.
  void run_rows(const TensorView<const float>& in, std::size_t first_row, const TensorView<float>& out,
                const Workspace& workspace) const {
    const std::size_t channels = in.shape.channels;
    detail::pool_rows(detail::pool_stretches(in.shape, window_, where), in.data, channels, first_row, out.shape, workspace, where,
                      [&](std::size_t y, std::size_t x, std::size_t pixels, std::size_t count, const auto* taps) {
                        const float divisor = static_cast<float>(count_include_pad_ ? window_.taps() : count);
                        workspace.kernels->average_pool({taps, count, channels, window_.stride[1] * channels, pixels, nullptr},
                                                        divisor, out.pixel(y, x));
                      });
  }

 private:
  static constexpr std::string_view where = "avg_pool2d";
  Window window_;
  bool count_include_pad_;
};

/// Average over PyTorch's bins: rows floor(i*in/out) to ceil((i+1)*in/out)-1, columns alike. Sums in double, row-major.
class AdaptiveAveragePool2d {
 public:
  AdaptiveAveragePool2d(std::size_t height, std::size_t width) : height_(height), width_(width) {
    demand(height > 0 && width > 0 && height <= max_extent && width <= max_extent, where, "size (got ", height, "x", width,
           ", expected 1 to ", max_extent, ")");
  }

  [[nodiscard]] Shape output_shape(const Shape& input) const {
    demand(input.elements() > 0, where, "empty input ", input);
    return {height_, width_, input.channels};
  }
  [[nodiscard]] std::size_t scratch_bytes(const Shape& input) const { return scratch_size<double>(input.channels); }

  void run(const TensorView<const float>& in, const TensorView<float>& out, const Workspace& workspace) const {
    check_equal(out.shape, output_shape(in.shape), where, "output shape");
    check_workspace(workspace, scratch_bytes(in.shape), where);
    double* sums = Scratch(workspace.scratch).take<double>(in.shape.channels);
    for (std::size_t y = 0; y < height_; ++y)
      for (std::size_t x = 0; x < width_; ++x) average(in, y, x, sums, out.pixel(y, x));
  }

 private:
  static constexpr std::string_view where = "adaptive_avg_pool2d";
  [[nodiscard]] static std::size_t bin_begin(std::size_t i, std::size_t in, std::size_t out) noexcept { return i * in / out; }
  [[nodiscard]] static std::size_t bin_end(std::size_t i, std::size_t in, std::size_t out) noexcept {
    return ((i + 1) * in + out - 1) / out;
  }

  void average(const TensorView<const float>& in, std::size_t y, std::size_t x, double* sums, float* out) const noexcept {
    const std::size_t channels = in.shape.channels;
    const std::size_t top = bin_begin(y, in.shape.height, height_), bottom = bin_end(y, in.shape.height, height_);
    const std::size_t left = bin_begin(x, in.shape.width, width_), right = bin_end(x, in.shape.width, width_);
    std::fill_n(sums, channels, 0.0);
    for (std::size_t row = top; row < bottom; ++row)
      for (std::size_t column = left; column < right; ++column)
        for (std::size_t c = 0; c < channels; ++c) sums[c] += static_cast<double>(in(row, column, c));
    const double count = static_cast<double>((bottom - top) * (right - left));
    for (std::size_t c = 0; c < channels; ++c) out[c] = static_cast<float>(sums[c] / count);
  }

  std::size_t height_, width_;
};

/// One call each: allocates and runs.
[[nodiscard]] inline Tensor<float> max_pool2d(const TensorView<const float>& in, const Window& window,
                                              const kernels::KernelTable& kernels = kernels::active()) {
  const MaxPool2d pool(window);
  Tensor<float> out(pool.output_shape(in.shape));
  pool.run(in, out.view(), OwnWorkspace(kernels, pool.scratch_bytes(in.shape)));
  return out;
}
template <class Word>
[[nodiscard]] BitTensor<Word> max_pool2d(const BitTensor<Word>& in, const Window& window,
                                         const kernels::KernelTable& kernels = kernels::active()) {
  const MaxPool2d pool(window);
  BitTensor<Word> out(pool.output_shape(in.shape()));
  pool.run(in.view(), out.view(), OwnWorkspace(kernels, pool.scratch_bytes(in.shape())));
  return out;
}
[[nodiscard]] inline Tensor<float> average_pool2d(const TensorView<const float>& in, const Window& window,
                                                  bool count_include_pad = true,
                                                  const kernels::KernelTable& kernels = kernels::active()) {
  const AveragePool2d pool(window, count_include_pad);
  Tensor<float> out(pool.output_shape(in.shape));
  pool.run(in, out, OwnWorkspace(kernels, pool.scratch_bytes(in.shape)));
  return out;
}
[[nodiscard]] inline Tensor<float> adaptive_average_pool2d(const TensorView<const float>& in, std::size_t height, std::size_t width,
                                                           const kernels::KernelTable& kernels = kernels::active()) {
  const AdaptiveAveragePool2d pool(height, width);
  Tensor<float> out(pool.output_shape(in.shape));
  pool.run(in, out, OwnWorkspace(kernels, pool.scratch_bytes(in.shape)));
  return out;
}

}  // namespace bimtdp::ops
