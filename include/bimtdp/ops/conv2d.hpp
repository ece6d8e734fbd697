// SPDX-License-Identifier: Apache-2.0
// Float convolution with groups. Taps outside the image are skipped; sums run over the taps in order, then their channels.
#pragma once

#include <bimtdp/core/tensor.hpp>
#include <bimtdp/kernels/select.hpp>
#include <bimtdp/ops/epilogue.hpp>
#include <bimtdp/ops/execution.hpp>
#include <bimtdp/ops/window_sums.hpp>

namespace bimtdp::ops {

struct Conv2dParameters {
  Window window{};
  std::size_t groups = 1;
  std::size_t in_channels = 0;
  std::size_t out_channels = 0;
  std::span<const float> weights{};  ///< [out][kh][kw][in/groups]
  EpilogueParameters epilogue{};
};

class Conv2d {
 public:
  /// Throws Error for parameters that do not fit together or non-finite values.
  Conv2d(const kernels::KernelTable& kernels, const Conv2dParameters& p, std::string_view where = "conv2d")
      : where_(where),
        sums_(kernels, p.window, p.groups, p.in_channels, p.out_channels, where),
        epilogue_(p.epilogue, p.out_channels, where) {
    const std::size_t taps = p.window.taps(), depth = sums_.group_channels();
    check_equal(p.weights.size(), (Checked(p.out_channels) * taps * depth).size(), where, "weights");
    for (const float weight : p.weights) check(std::isfinite(weight), where, "weights hold ", weight);
    sums_.pack([&](std::size_t o, std::size_t tap, std::size_t k) { return p.weights[(o * taps + tap) * depth + k]; },
               [&](std::size_t tap, std::size_t k) { return p.weights[k * taps + tap]; });
  }

  [[nodiscard]] Shape output_shape(const Shape& input) const { return sums_.runs(input).output(sums_.out_channels()); }
  [[nodiscard]] std::size_t scratch_bytes(const Shape& input, std::size_t threads) const {
    return sums_.scratch(sums_.runs(input)).total(threads);
  }

  /// execution.kernels must be the table of the constructor. `residual` is added before the activation; it has the shape of
  /// `out`, or null data where there is none.
  void run(const TensorView<const float>& in, const TensorView<float>& out, const Execution& execution,
           const TensorView<const float>& residual = {}) const {
    const WindowRuns runs = sums_.runs(in.shape);
    check_equal(out.shape, runs.output(sums_.out_channels()), where_, "output shape");
    run_part(in, runs, 0, out, execution, residual);
  }

  /// Output rows first_row, first_row + 1, ...: `out` and `residual` hold these rows alone, `in` is the whole map.
  void run_rows(const TensorView<const float>& in, std::size_t first_row, const TensorView<float>& out, const Execution& execution,
                const TensorView<const float>& residual = {}) const {
    const WindowRuns runs = sums_.runs(in.shape);
    check_rows(out.shape, first_row, runs.output(sums_.out_channels()), where_);
    run_part(in, runs, first_row, out, execution, residual);
  }

 private:
  void run_part(const TensorView<const float>& in, const WindowRuns& runs, std::size_t first_row, const TensorView<float>& out,
                const Execution& execution, const TensorView<const float>& residual) const {
    if (residual.data) check_equal(residual.shape, out.shape, where_, "residual shape");
    const ScratchNeed need = sums_.scratch(runs);
    check_execution(execution, need, where_);
    check(execution.kernels == &sums_.table(), where_, "weights were packed for other kernels");
    const auto source = sums_.source(in.data, runs, execution);
    for_each_row(execution, out.shape.height, need, [&](std::size_t y, const Scratch& scratch) {
      sums_.row(source, runs, first_row + y, scratch,
                [&](std::size_t x, std::size_t pixels, std::size_t, const float* values, std::size_t stride) {
                  const kernels::Epilogue epilogue = epilogue_.at(residual.data ? residual.pixel(y, x) : nullptr);
                  sums_.table().epilogue(values, stride, pixels, out.shape.channels, epilogue, out.pixel(y, x));
                });
    });
  }

  std::string_view where_;  // a literal
  WindowSums<FloatSums> sums_;
  PreparedEpilogue epilogue_;
};

/// One call: prepares the weights, allocates and runs.
[[nodiscard]] inline Tensor<float> conv2d(const TensorView<const float>& in, const Conv2dParameters& parameters,
                                          const kernels::KernelTable& kernels = kernels::active(), std::size_t threads = 1) {
  const Conv2d conv(kernels, parameters);
  Tensor<float> out(conv.output_shape(in.shape));
  conv.run(in, out, OwnExecution(kernels, conv.scratch_bytes(in.shape, threads), threads));
  return out;
}

}  // namespace bimtdp::ops
