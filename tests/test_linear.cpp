// SPDX-License-Identifier: Apache-2.0
#include "ops_testing.hpp"

#include <bimtdp/ops/linear.hpp>

#include <cmath>

using namespace bimtdp;
using namespace bimtdp::ops;

TEST_CASE("linear: dot products in order, then the bias, then the activation") {
  testing::Random random(41);
  for (int round = 0; round < 60; ++round) {
    const std::size_t in_channels = random.in(1, 100), out_channels = random.in(1, 100);
    const std::vector<float> weights = random.reals(in_channels * out_channels),
                             bias = random.reals(random.coin() ? out_channels : 0);
    const bool relu = random.coin();
    const LinearParameters p{in_channels,
                             out_channels,
                             weights,
                             bias,
                             {relu ? kernels::ActivationKind::relu : kernels::ActivationKind::none, {}, {}, {}}};
    const Tensor<float> in = random.floats({1, 1, in_channels});
    Tensor<float> expected({1, 1, out_channels});
    for (std::size_t o = 0; o < out_channels; ++o) {
      float sum = 0;
      for (std::size_t c = 0; c < in_channels; ++c) sum = std::fma(in.data()[c], weights[o * in_channels + c], sum);
      if (!bias.empty()) sum += bias[o];
      expected.data()[o] = relu && !(sum > 0) ? 0.0F : sum;
    }
    testing::expect_everywhere(
        expected, [&](const kernels::KernelTable& table) { return Linear(table, p); },
        [&](const Linear& op) { return op.scratch_bytes(in.shape()); },
        [&](const Linear& op, const TensorView<float>& out, const Workspace& workspace) { op.run(in, out, workspace); });
    CHECK(testing::same(linear(in, p), expected));
  }
}

TEST_CASE("linear: errors") {
  const std::vector<float> weights(6);
  const LinearParameters p{3, 2, weights, {}, {}};
  CHECK_THROWS_AS(linear(Tensor<float>({1, 1, 2}), p), Error);
  CHECK_THROWS_AS(linear(Tensor<float>({1, 2, 3}), p), Error);
  CHECK_THROWS_AS(linear(Tensor<float>({1, 1, 3}), {3, 3, weights, {}, {}}), Error);
}
