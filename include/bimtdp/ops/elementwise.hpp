// SPDX-License-Identifier: Apache-2.0
// Sum and product of float maps, element by element.
#pragma once

#include <bimtdp/core/tensor.hpp>
#include <bimtdp/ops/epilogue.hpp>
#include <bimtdp/ops/execution.hpp>

namespace bimtdp::ops {

/// activation(in[0] + in[1] + ...), summed left to right.
class Add {
 public:
  Add(const ActivationParameters& activation, std::size_t channels)
      : channels_(channels), epilogue_({{}, {}, {}, activation}, channels, "add") {}

  [[nodiscard]] Shape output_shape(std::span<const Shape> inputs) const {
    check(inputs.size() >= 2, "add", "inputs (got ", inputs.size(), ", expected at least 2)");
    check_equal(inputs[0].channels, channels_, "add", "channels");
    for (const Shape& shape : inputs) check_equal(shape, inputs[0], "add", "input shape");
    return inputs[0];
  }
  [[nodiscard]] std::size_t scratch_bytes(std::span<const Shape>, std::size_t) const { return 0; }

  /// `out` may be the first input.
  void run(std::span<const TensorView<const float>> in, const TensorView<float>& out, const Execution& execution) const {
    check(in.size() >= 2, "add", "inputs (got ", in.size(), ", expected at least 2)");
    check_equal(in[0].shape.channels, channels_, "add", "channels");
    for (const auto& map : in) check_equal(map.shape, out.shape, "add", "input shape");
    check_execution(execution, {}, "add");
    for_each_row(execution, out.shape.height, {}, [&](std::size_t y, const Scratch&) {
      const std::size_t count = out.shape.width * channels_;
      float* row = out.pixel(y, 0);
      execution.kernels->add(in[0].pixel(y, 0), in[1].pixel(y, 0), count, row);
      for (std::size_t i = 2; i < in.size(); ++i) execution.kernels->add(row, in[i].pixel(y, 0), count, row);
      if (epilogue_.has_activation()) epilogue_.run(*execution.kernels, row, out.shape.width, channels_, row);
    });
  }

 private:
  std::size_t channels_;
  PreparedEpilogue epilogue_;
};

/// a * b; b is a map of the same shape, or 1x1xC and multiplies every pixel of a.
class Multiply {
 public:
  [[nodiscard]] Shape output_shape(const Shape& a, const Shape& b) const {
    check(b == a || b == Shape{1, 1, a.channels}, "multiply", "second shape (got ", b, ", expected ", a, " or 1x1x", a.channels,
          ")");
    return a;
  }
  [[nodiscard]] std::size_t scratch_bytes(const Shape&, const Shape&, std::size_t) const { return 0; }

  /// `out` may be `a`.
  void run(const TensorView<const float>& a, const TensorView<const float>& b, const TensorView<float>& out,
           const Execution& execution) const {
    check_equal(out.shape, output_shape(a.shape, b.shape), "multiply", "output shape");
    check_execution(execution, {}, "multiply");
    const std::size_t channels = a.shape.channels;
    kernels::Epilogue per_channel{};
    per_channel.alpha = b.data;
    for_each_part(execution, a.shape.height, {}, [&](std::size_t begin, std::size_t end, const Scratch&) {
      const std::size_t pixels = (end - begin) * a.shape.width;
      if (b.shape == a.shape) {
        execution.kernels->multiply(a.pixel(begin, 0), b.pixel(begin, 0), pixels * channels, out.pixel(begin, 0));
      } else {
        execution.kernels->epilogue(a.pixel(begin, 0), channels, pixels, channels, per_channel, out.pixel(begin, 0));
      }
    });
  }
};

}  // namespace bimtdp::ops
