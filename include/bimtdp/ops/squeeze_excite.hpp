// SPDX-License-Identifier: Apache-2.0
// Squeeze and excite: x * sigmoid(expand(relu(reduce(mean of x)))). The mean is summed in double, row-major.
#pragma once

#include <bimtdp/ops/linear.hpp>

namespace bimtdp::ops {

struct SqueezeExciteParameters {
  std::size_t channels = 0;
  std::size_t hidden = 0;
  std::span<const float> reduce_weight{};  ///< [hidden][channels]
  std::span<const float> reduce_bias{};    ///< [hidden]
  std::span<const float> expand_weight{};  ///< [channels][hidden]
  std::span<const float> expand_bias{};    ///< [channels]
};

class SqueezeExcite {
 public:
  SqueezeExcite(const kernels::KernelTable& kernels, const SqueezeExciteParameters& p)
      : channels_(p.channels),
        hidden_(p.hidden),
        reduce_(kernels, {p.channels, p.hidden, p.reduce_weight, p.reduce_bias, {kernels::ActivationKind::relu, {}, {}, {}}},
                where),
        expand_(kernels, {p.hidden, p.channels, p.expand_weight, p.expand_bias, {kernels::ActivationKind::sigmoid, {}, {}, {}}},
                where) {}

  [[nodiscard]] Shape output_shape(const Shape& input) const {
    check_equal(input.channels, channels_, where, "channels");
    demand(input.elements() > 0, where, "empty input ", input);
    return input;
  }
  [[nodiscard]] std::size_t scratch_bytes(const Shape& input) const {
    static_cast<void>(output_shape(input));
    return scratch_size<double>(channels_) + 2 * scratch_size<float>(channels_) + scratch_size<float>(hidden_) + layers_scratch();
  }

  /// `out` may be `in`. workspace.kernels must be the table of the constructor.
  void run(const TensorView<const float>& in, const TensorView<float>& out, const Workspace& workspace) const {
    check_equal(out.shape, output_shape(in.shape), where, "output shape");
    check_workspace(workspace, scratch_bytes(in.shape), where);
    Scratch scratch(workspace.scratch);
    double* sums = scratch.take<double>(channels_);
    const TensorView<float> squeezed{scratch.take<float>(channels_), {1, 1, channels_}};
    const TensorView<float> hidden{scratch.take<float>(hidden_), {1, 1, hidden_}};
    const TensorView<float> excited{scratch.take<float>(channels_), {1, 1, channels_}};
    const Workspace layers{workspace.kernels, scratch.rest()};

    mean(in, sums, squeezed.data, workspace);
    reduce_.run(squeezed, hidden, layers);
    expand_.run(hidden, excited, layers);
    kernels::Epilogue factors{};
    factors.alpha = excited.data;
    workspace.kernels->epilogue(in.data, channels_, in.shape.pixels(), channels_, factors, out.data);
  }

 private:
  static constexpr std::string_view where = "squeeze_excite";

  [[nodiscard]] std::size_t layers_scratch() const {
    return (std::max)(reduce_.scratch_bytes({1, 1, channels_}), expand_.scratch_bytes({1, 1, hidden_}));
  }

  static void mean(const TensorView<const float>& in, double* sums, float* result, const Workspace& workspace) noexcept {
    const std::size_t channels = in.shape.channels, pixels = in.shape.pixels();
    std::fill_n(sums, channels, 0.0);
    workspace.kernels->sum_channels(in.data, channels, pixels, channels, sums);
    for (std::size_t c = 0; c < channels; ++c) result[c] = static_cast<float>(sums[c] / static_cast<double>(pixels));
  }

  std::size_t channels_, hidden_;
  Linear reduce_, expand_;
};

/// One call: prepares the weights, allocates and runs.
[[nodiscard]] inline Tensor<float> squeeze_excite(const TensorView<const float>& in, const SqueezeExciteParameters& parameters,
                                                  const kernels::KernelTable& kernels = kernels::active()) {
  const SqueezeExcite gate(kernels, parameters);
  Tensor<float> out(gate.output_shape(in.shape));
  gate.run(in, out, OwnWorkspace(kernels, gate.scratch_bytes(in.shape)));
  return out;
}

}  // namespace bimtdp::ops
