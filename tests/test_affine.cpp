// SPDX-License-Identifier: Apache-2.0
#include "ops_testing.hpp"

#include <bimtdp/ops/affine.hpp>

#include <cmath>

using namespace bimtdp;
using namespace bimtdp::ops;

TEST_CASE("affine: fma, then the activation; in place too") {
  testing::Random random(81);
  for (std::size_t channels = 1; channels <= 70; ++channels) {
    const Shape shape{random.in(1, 5), random.in(1, 6), channels};
    const Tensor<float> x = random.floats(shape, 2.0F);
    const std::vector<float> scale = random.reals(channels), bias = random.reals(channels);
    const bool relu = random.coin();
    Tensor<float> expected(shape);
    for (std::size_t i = 0; i < shape.elements(); ++i) {
      const float y = std::fma(x.data()[i], scale[i % channels], bias[i % channels]);
      expected.data()[i] = relu && !(y > 0) ? 0.0F : y;
    }
    const AffineParameters p{
        channels, scale, bias, {relu ? kernels::ActivationKind::relu : kernels::ActivationKind::none, {}, {}, {}}};
    const auto make = [&](const kernels::KernelTable&) { return Affine(p); };
    testing::expect_everywhere(
        expected, make, testing::no_scratch,
        [&](const Affine& op, const TensorView<float>& out, const Workspace& workspace) { op.run(x, out, workspace); });
    testing::expect_everywhere(expected, make, testing::no_scratch,
                               [&](const Affine& op, const TensorView<float>& out, const Workspace& workspace) {
                                 std::copy_n(x.data(), x.span().size(), out.data);
                                 op.run(out, out, workspace);
                               });
  }
}

TEST_CASE("affine: errors") {
  const std::vector<float> two(2), three(3);
  CHECK_THROWS_AS(Affine({3, two, three, {}}), Error);
  CHECK_THROWS_AS(Affine({3, {}, three, {}}), Error);
  CHECK_THROWS_AS(Affine({3, three, {}, {}}), Error);
  CHECK_THROWS_AS(Affine({3, three, three, {}}).output_shape({1, 1, 4}), Error);
}
