// SPDX-License-Identifier: Apache-2.0
#include "ops_testing.hpp"

#include <bimtdp/ops/conv2d.hpp>
#include <bimtdp/simd/target.hpp>

#include <cmath>
#include <limits>

using namespace bimtdp;
using namespace bimtdp::ops;
using testing::Random;

namespace {

struct Case {
  Conv2dParameters p;
  std::vector<float> weights, scale, bias, slope;
  Tensor<float> residual;
  bool with_residual = false;
};

BIMTDP_EXACT_BEGIN
float finish(float sum, std::size_t c, const float* residual, const EpilogueParameters& e) {
  float y = sum;
  if (!e.scale.empty())
    y = std::fma(y, e.scale[c], e.bias[c]);
  else if (!e.bias.empty())
    y = y + e.bias[c];
  if (residual) y = y + *residual;
  if (e.activation.kind == kernels::ActivationKind::relu) y = y > 0 ? y : 0;
  if (e.activation.kind == kernels::ActivationKind::relu6) y = y > 6 ? 6 : y > 0 ? y : 0;
  if (e.activation.kind == kernels::ActivationKind::prelu) y = y >= 0 ? y : e.activation.slope[c] * y;
  return y;
}
BIMTDP_EXACT_END

/// The definition: taps inside in row-major order, then channels, one fused multiply-add each.
Tensor<float> direct(const Tensor<float>& in, const Case& test) {
  const Conv2dParameters& p = test.p;
  Tensor<float> out(window_shape(in.shape(), p.window, p.out_channels, "test"));
  const std::size_t group_in = p.in_channels / p.groups, group_out = p.out_channels / p.groups;
  for (std::size_t y = 0; y < out.shape().height; ++y)
    for (std::size_t x = 0; x < out.shape().width; ++x)
      for (std::size_t o = 0; o < p.out_channels; ++o) {
        float sum = 0;
        testing::for_each_tap(in.shape(), p.window, y, x, [&](std::size_t ky, std::size_t kx, std::size_t row, std::size_t column) {
          for (std::size_t c = 0; c < group_in; ++c)
            sum = std::fma(in(row, column, o / group_out * group_in + c),
                           p.weights[((o * p.window.kernel[0] + ky) * p.window.kernel[1] + kx) * group_in + c], sum);
        });
        out(y, x, o) = finish(sum, o, test.with_residual ? &test.residual(y, x, o) : nullptr, p.epilogue);
      }
  return out;
}

void check_conv(Random& random, const Shape& shape, const Window& window, std::size_t groups, std::size_t out_channels) {
  INFO("input " << shape << ", groups " << groups << ", out " << out_channels << ", " << testing::text(window));
  using enum kernels::ActivationKind;
  Case test;
  test.weights = random.reals(out_channels * window.taps() * (shape.channels / groups));
  if (random.coin()) test.scale = random.reals(out_channels, 2.0F);
  if (!test.scale.empty() || random.coin()) test.bias = random.reals(out_channels);
  constexpr kernels::ActivationKind kinds[] = {none, relu, relu6, prelu};
  const kernels::ActivationKind kind = kinds[random.in(0, 3)];
  if (kind == prelu) test.slope = random.reals(out_channels);
  test.p = {window, groups, shape.channels, out_channels, test.weights, {{}, test.scale, test.bias, {kind, test.slope, {}, {}}}};
  test.residual = random.floats(window_shape(shape, window, out_channels, "test"));
  test.with_residual = random.coin();

  const Tensor<float> in = random.floats(shape, 3.0F);
  const Tensor<float> expected = direct(in, test);
  const auto residual = test.with_residual ? std::as_const(test.residual).view() : TensorView<const float>{};
  const auto make = [&](const kernels::KernelTable& table) { return Conv2d(table, test.p); };
  const auto scratch = [&](const Conv2d& conv) { return conv.scratch_bytes(shape); };
  testing::expect_everywhere(expected, make, scratch, [&](const Conv2d& conv, const auto& out, const Workspace& workspace) {
    conv.run(in, out, workspace, residual);
  });
  testing::expect_rows_everywhere(
      expected, make, scratch, [&](const Conv2d& conv, std::size_t first, const auto& out, const Workspace& workspace) {
        conv.run_rows(in, first, out, workspace, residual.data ? residual.rows(first, out.shape.height) : residual);
      });
}

}  // namespace

TEST_CASE("conv2d: random windows, one group") {
  Random random(31);
  for (int round = 0; round < 150; ++round) {
    const Shape shape{random.in(1, 9), random.in(1, 14), random.in(1, 40)};
    check_conv(random, shape, random.window(shape), 1, random.in(1, 70));
  }
}

TEST_CASE("conv2d: 1x1, 3x3, 5x5 and 7x7, stride 1 and 2, symmetric and one-sided padding") {
  Random random(32);
  for (const std::size_t kernel : {1U, 3U, 5U, 7U})
    for (const std::size_t stride : {1U, 2U})
      for (const std::size_t less : {0U, 1U}) {
        const std::size_t after = kernel / 2, before = after - std::min(after, less);
        const Window window{{kernel, kernel}, {stride, stride}, {1, 1}, {before, after, before, after}};
        check_conv(random, {9, 13, 5}, window, 1, 18);
        check_conv(random, {9, 40, 16}, window, 16, 16);
      }
}

TEST_CASE("conv2d: groups and depthwise") {
  Random random(33);
  for (int round = 0; round < 80; ++round) {
    const std::size_t groups = random.in(2, 9);
    const Shape shape{random.in(1, 7), random.in(1, 9), groups * random.in(1, 9)};
    check_conv(random, shape, random.window(shape), groups, groups * random.in(1, 9));
  }
  for (std::size_t channels = 2; channels <= 100; channels += random.in(1, 5)) {
    const Shape shape{random.in(1, 9), random.in(1, 20), channels};
    check_conv(random, shape, random.window(shape), channels, channels);
  }
}

TEST_CASE("conv2d: long rows and windows that see nothing") {
  Random random(34);
  check_conv(random, {2, 400, 3}, {{3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}}, 1, 16);
  check_conv(random, {2, 300, 40}, {{3, 3}, {2, 2}, {1, 1}, {0, 1, 0, 1}}, 1, 144);
  check_conv(random, {1, 1, 3}, {{1, 1}, {1, 1}, {1, 1}, {2, 2, 2, 2}}, 1, 5);
}

TEST_CASE("conv2d: one call, and errors") {
  Random random(35);
  const std::vector<float> weights = random.reals(6 * 9 * 4), nan(6 * 9 * 4, std::numeric_limits<float>::quiet_NaN());
  const Window window{{3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}};
  const Tensor<float> in = random.floats({4, 5, 4}), wrong = random.floats({4, 5, 3});
  CHECK(conv2d(in, {window, 1, 4, 6, weights, {}}).shape() == Shape{4, 5, 6});
  CHECK_THROWS_AS(conv2d(wrong, {window, 1, 4, 6, weights, {}}), Error);
  CHECK_THROWS_AS(conv2d(in, {window, 1, 4, 5, weights, {}}), Error);
  CHECK_THROWS_AS(conv2d(in, {window, 3, 4, 6, weights, {}}), Error);
  CHECK_THROWS_AS(conv2d(in, {window, 1, 4, 6, nan, {}}), Error);
  Tensor<float> out({4, 5, 6});
  const Conv2d conv(kernels::reference_table(), {window, 1, 4, 6, weights, {}});
  AlignedVector<std::byte> scratch(conv.scratch_bytes(in.shape()));
  CHECK_THROWS_AS(conv.run(in, out, {&kernels::reference_table(), {}}), Error);
  CHECK_THROWS_AS(conv.run(in, out, {&kernels::reference_table(), scratch}, in), Error);
}
