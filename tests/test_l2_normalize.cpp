// SPDX-License-Identifier: Apache-2.0
#include "ops_testing.hpp"

#include <bimtdp/ops/l2_normalize.hpp>

#include <cmath>

using namespace bimtdp;
using namespace bimtdp::ops;

TEST_CASE("l2_normalize: unit length over the channels; zero stays zero; in place too") {
  testing::Random random(161);
  for (std::size_t channels = 1; channels <= 40; ++channels) {
    const Shape shape{random.in(1, 5), random.in(1, 7), channels};
    Tensor<float> x = random.floats(shape, 5.0F);
    std::fill_n(x.data(), channels, 0.0F);
    Tensor<float> expected(shape);
    for (std::size_t i = 0; i < shape.elements(); i += channels) {
      float squares = 0;
      for (std::size_t c = 0; c < channels; ++c) squares = std::fma(x.data()[i + c], x.data()[i + c], squares);
      for (std::size_t c = 0; c < channels; ++c) expected.data()[i + c] = x.data()[i + c] / std::max(std::sqrt(squares), 1e-12F);
    }
    const auto make = [](const kernels::KernelTable&) { return L2Normalize(); };
    testing::expect_everywhere(
        expected, make, testing::no_scratch,
        [&](const L2Normalize& op, const TensorView<float>& out, const Workspace& workspace) { op.run(x, out, workspace); });
    testing::expect_everywhere(expected, make, testing::no_scratch,
                               [&](const L2Normalize& op, const TensorView<float>& out, const Workspace& workspace) {
                                 std::copy_n(x.data(), shape.elements(), out.data);
                                 op.run(out, out, workspace);
                               });
    CHECK(expected.data()[0] == 0.0F);
  }
}
