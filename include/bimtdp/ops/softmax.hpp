// SPDX-License-Identifier: Apache-2.0
// Softmax over each run of `group` consecutive channels. MTI-Net's feature propagation takes group = number of tasks.
#pragma once

#include <bimtdp/core/tensor.hpp>
#include <bimtdp/ops/execution.hpp>

namespace bimtdp::ops {

class Softmax {
 public:
  explicit Softmax(std::size_t group) : group_(group) { check(group > 0, "softmax", "group must be positive"); }

  [[nodiscard]] Shape output_shape(const Shape& input) const {
    check(input.channels % group_ == 0, "softmax", "channels (got ", input.channels, ", expected a multiple of ", group_, ")");
    return input;
  }
  [[nodiscard]] std::size_t scratch_bytes(const Shape&, std::size_t) const { return 0; }

  /// `out` may be `in`.
  void run(const TensorView<const float>& in, const TensorView<float>& out, const Execution& execution) const {
    check_equal(out.shape, output_shape(in.shape), "softmax", "output shape");
    check_execution(execution, {}, "softmax");
    for_each_part(execution, in.shape.height, {}, [&](std::size_t begin, std::size_t end, const Scratch&) {
      execution.kernels->softmax(in.pixel(begin, 0), (end - begin) * in.shape.width * (in.shape.channels / group_), group_,
                                 out.pixel(begin, 0));
    });
  }

 private:
  std::size_t group_;
};

}  // namespace bimtdp::ops
