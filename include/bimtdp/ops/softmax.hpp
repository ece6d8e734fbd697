// SPDX-License-Identifier: Apache-2.0
// Softmax over each group of `group` consecutive channels. MTI-Net's feature propagation takes group = number of tasks.
#pragma once

#include <bimtdp/core/tensor.hpp>
#include <bimtdp/ops/workspace.hpp>

namespace bimtdp::ops {

class Softmax {
 public:
  explicit Softmax(std::size_t group) : group_(group) { demand(group > 0, "softmax", "group must be positive"); }

  [[nodiscard]] Shape output_shape(const Shape& input) const {
    demand(input.channels % group_ == 0, "softmax", "channels (got ", input.channels, ", expected a multiple of ", group_, ")");
    return input;
  }

  /// `out` may be `in`.
  void run(const TensorView<const float>& in, const TensorView<float>& out, const Workspace& workspace) const {
    check_equal(out.shape, output_shape(in.shape), "softmax", "output shape");
    check_workspace(workspace, 0, "softmax");
    workspace.kernels->softmax(in.data, in.shape.elements() / group_, group_, out.data);
  }

 private:
  std::size_t group_;
};

}  // namespace bimtdp::ops
