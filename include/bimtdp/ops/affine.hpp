// SPDX-License-Identifier: Apache-2.0
// Per-channel affine map of a float map, then an activation: activation(fma(x, scale[c], bias[c])).
#pragma once

#include <bimtdp/core/tensor.hpp>
#include <bimtdp/ops/epilogue.hpp>
#include <bimtdp/ops/workspace.hpp>

namespace bimtdp::ops {

struct AffineParameters {
  std::size_t channels = 0;
  std::span<const float> scale{};  ///< one value a channel
  std::span<const float> bias{};   ///< one value a channel
  ActivationParameters activation{};
};

/// Any epilogue without a residual on every pixel of a map; `out` may be `in`.
class Pointwise {
 public:
  Pointwise(const EpilogueParameters& parameters, std::size_t channels, std::string_view where)
      : channels_(channels), where_(where), epilogue_(parameters, channels, where) {}

  [[nodiscard]] Shape output_shape(const Shape& input) const {
    check_equal(input.channels, channels_, where_, "channels");
    return input;
  }

  void run(const TensorView<const float>& in, const TensorView<float>& out, const Workspace& workspace) const {
    check_equal(out.shape, output_shape(in.shape), where_, "output shape");
    check_workspace(workspace, 0, where_);
    epilogue_.run(*workspace.kernels, in.data, in.shape.pixels(), channels_, out.data);
  }

 private:
  std::size_t channels_;
  std::string_view where_;  // a literal of the derived op
  PreparedEpilogue epilogue_;
};

class Affine : public Pointwise {
 public:
  explicit Affine(const AffineParameters& p) : Pointwise({{}, p.scale, p.bias, p.activation}, p.channels, "affine") {
    check_equal(p.scale.size(), p.channels, "affine", "scale");
    check_equal(p.bias.size(), p.channels, "affine", "bias");
  }
};

}  // namespace bimtdp::ops
