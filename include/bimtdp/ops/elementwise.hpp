// SPDX-License-Identifier: Apache-2.0
// Sum and product of float maps, element by element.
#pragma once

#include <bimtdp/core/tensor.hpp>
#include <bimtdp/ops/epilogue.hpp>
#include <bimtdp/ops/workspace.hpp>

namespace bimtdp::ops {

/// activation(in[0] + in[1] + ...), summed left to right.
class Add {
 public:
  Add(const ActivationParameters& activation, std::size_t channels)
      : channels_(channels), epilogue_({{}, {}, {}, activation}, channels, "add") {}

  [[nodiscard]] Shape output_shape(std::span<const Shape> inputs) const {
    demand(inputs.size() >= 2, "add", "inputs (got ", inputs.size(), ", expected at least 2)");
    check_equal(inputs[0].channels, channels_, "add", "channels");
    for (const Shape& shape : inputs) check_equal(shape, inputs[0], "add", "input shape");
    return inputs[0];
  }

  /// `out` may be the first input.
  void run(std::span<const TensorView<const float>> in, const TensorView<float>& out, const Workspace& workspace) const {
    demand(in.size() >= 2, "add", "inputs (got ", in.size(), ", expected at least 2)");
    check_equal(in[0].shape.channels, channels_, "add", "channels");
    for (const auto& map : in) check_equal(map.shape, out.shape, "add", "input shape");
    check_workspace(workspace, 0, "add");
    for (std::size_t y = 0; y < out.shape.height; ++y) {  // a row stays in the cache until its last step
      const std::size_t count = out.shape.width * channels_;
      float* row = out.pixel(y, 0);
      workspace.kernels->add(in[0].pixel(y, 0), in[1].pixel(y, 0), count, row);
      for (std::size_t i = 2; i < in.size(); ++i) workspace.kernels->add(row, in[i].pixel(y, 0), count, row);
      if (epilogue_.has_activation()) epilogue_.run(*workspace.kernels, row, out.shape.width, channels_, row);
    }
  }

 private:
  std::size_t channels_;
  PreparedEpilogue epilogue_;
};

/// a * b; b is a map of the same shape, or 1x1xC and multiplies every pixel of a.
class Multiply {
 public:
  [[nodiscard]] Shape output_shape(const Shape& a, const Shape& b) const {
    demand(b == a || b == Shape{1, 1, a.channels}, "multiply", "second shape (got ", b, ", expected ", a, " or 1x1x", a.channels,
           ")");
    return a;
  }

  /// `out` may be `a`.
  void run(const TensorView<const float>& a, const TensorView<const float>& b, const TensorView<float>& out,
           const Workspace& workspace) const {
    check_equal(out.shape, output_shape(a.shape, b.shape), "multiply", "output shape");
    check_workspace(workspace, 0, "multiply");
    if (b.shape == a.shape) return workspace.kernels->multiply(a.data, b.data, a.shape.elements(), out.data);
    const std::size_t channels = a.shape.channels;
    kernels::Epilogue per_channel{};
    per_channel.alpha = b.data;
    workspace.kernels->epilogue(a.data, channels, a.shape.pixels(), channels, per_channel, out.data);
  }
};

}  // namespace bimtdp::ops
