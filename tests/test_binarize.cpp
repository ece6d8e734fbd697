// SPDX-License-Identifier: Apache-2.0
#include "ops_testing.hpp"

#include <bimtdp/ops/binarize.hpp>

#include <cmath>
#include <limits>

using namespace bimtdp;
using namespace bimtdp::ops;
using Bits = BitTensor<std::uint32_t>;

TEST_CASE("binarize and unpack, 1 to 130 channels, with and without scale and shift") {
  testing::Random random(71);
  for (std::size_t channels = 1; channels <= 130; ++channels) {
    const Shape shape{random.in(1, 5), random.in(1, 6), channels};
    Tensor<float> x = random.floats(shape, 2.0F);
    const float special[] = {0.0F, -0.0F, std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()};
    for (float& v : x.span())
      if (random.in(0, 5) == 0) v = special[random.in(0, 3)];
    std::vector<float> scale, shift;
    const std::size_t form = channels % 3;
    if (form >= 1) shift = random.reals(channels);
    if (form == 2) scale = random.reals(channels);
    Bits expected(shape);
    for (std::size_t i = 0; i < shape.elements(); ++i) {
      const std::size_t c = i % channels, pixel = i / channels;
      const float y = form == 2 ? std::fma(x.data()[i], scale[c], shift[c]) : form == 1 ? x.data()[i] + shift[c] : x.data()[i];
      expected.set(pixel / shape.width, pixel % shape.width, c, y >= 0.0F);
    }
    const BinarizeParameters p{channels, scale, shift};
    testing::expect_everywhere(
        expected, [&](const kernels::KernelTable&) { return Binarize(p); }, testing::no_scratch,
        [&](const Binarize& op, const BitView<std::uint32_t>& out, const Workspace& workspace) { op.run(x, out, workspace); });
    CHECK(binarize(x, p) == expected);
    testing::expect_everywhere(
        bimtdp::unpack(expected.view()), [](const kernels::KernelTable&) { return Unpack(); }, testing::no_scratch,
        [&](const Unpack& op, const TensorView<float>& out, const Workspace& workspace) { op.run(expected, out, workspace); });
  }
}

TEST_CASE("binarize: errors") {
  const std::vector<float> two(2, 1.0F), three(3, 1.0F);
  CHECK_THROWS_AS(Binarize({3, two, three}), Error);
  CHECK_THROWS_AS(Binarize({3, three, {}}), Error);
  CHECK_THROWS_AS(binarize(Tensor<float>({1, 1, 2}), {3, {}, {}}), Error);
#ifndef NDEBUG
  Bits bits({1, 1, 3});
  bits.data()[0] = 8;  // a tail bit
  CHECK_THROWS_AS(unpack(bits, kernels::reference_table()), Error);
#endif
}
