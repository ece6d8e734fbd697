// SPDX-License-Identifier: Apache-2.0
#include "ops_testing.hpp"

#include <bimtdp/ops/squeeze_excite.hpp>

#include <cmath>

using namespace bimtdp;
using namespace bimtdp::ops;

TEST_CASE("squeeze_excite: the formula, and the same bits everywhere") {
  testing::Random random(51);
  for (int round = 0; round < 60; ++round) {
    const Shape shape{random.in(1, 9), random.in(1, 12), random.in(1, 150)};
    const std::size_t hidden = random.in(1, 12), channels = shape.channels;
    const auto w1 = random.reals(hidden * channels), b1 = random.reals(hidden), w2 = random.reals(hidden * channels),
               b2 = random.reals(channels);
    const SqueezeExciteParameters p{channels, hidden, w1, b1, w2, b2};
    const Tensor<float> in = random.floats(shape, 2.0F);

    std::vector<double> mean(channels), mid(hidden);
    for (std::size_t i = 0; i < shape.elements(); ++i)
      mean[i % channels] += static_cast<double>(in.data()[i]) / static_cast<double>(shape.pixels());
    for (std::size_t h = 0; h < hidden; ++h) {
      mid[h] = static_cast<double>(b1[h]);
      for (std::size_t c = 0; c < channels; ++c) mid[h] += static_cast<double>(w1[h * channels + c]) * mean[c];
      mid[h] = std::max(mid[h], 0.0);
    }
    const Tensor<float> expected = squeeze_excite(in, p, kernels::reference_table());
    for (std::size_t i = 0; i < shape.elements(); ++i) {
      const std::size_t c = i % channels;
      double gate = static_cast<double>(b2[c]);
      for (std::size_t h = 0; h < hidden; ++h) gate += static_cast<double>(w2[c * hidden + h]) * mid[h];
      CHECK(static_cast<double>(expected.data()[i]) ==
            Approx(static_cast<double>(in.data()[i]) / (1 + std::exp(-gate))).margin(1e-5));
    }
    const auto make = [&](const kernels::KernelTable& table) { return SqueezeExcite(table, p); };
    const auto scratch = [&](const SqueezeExcite& op) { return op.scratch_bytes(shape); };
    testing::expect_everywhere(
        expected, make, scratch,
        [&](const SqueezeExcite& op, const TensorView<float>& out, const Workspace& workspace) { op.run(in, out, workspace); });
    testing::expect_everywhere(expected, make, scratch,
                               [&](const SqueezeExcite& op, const TensorView<float>& out, const Workspace& workspace) {
                                 std::copy_n(in.data(), in.span().size(), out.data);
                                 op.run(out, out, workspace);  // in place
                               });
  }
}

TEST_CASE("squeeze_excite: errors") {
  const std::vector<float> six(6), two(2), three(3);
  CHECK_NOTHROW(squeeze_excite(Tensor<float>({2, 2, 3}), {3, 2, six, two, six, three}));
  CHECK_THROWS_AS(squeeze_excite(Tensor<float>({2, 2, 2}), {3, 2, six, two, six, three}), Error);
  CHECK_THROWS_AS(squeeze_excite(Tensor<float>({2, 2, 3}), {3, 2, six, three, six, three}), Error);
  CHECK_THROWS_AS(squeeze_excite(Tensor<float>({0, 2, 3}), {3, 2, six, two, six, three}), Error);
}
