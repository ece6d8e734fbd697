// SPDX-License-Identifier: Apache-2.0
#include "ops_testing.hpp"

#include <bimtdp/ops/activation.hpp>

#include <cmath>

using namespace bimtdp;
using namespace bimtdp::ops;
using enum kernels::ActivationKind;

TEST_CASE("activation: every kind on every table, near its formula") {
  testing::Random random(91);
  for (const auto kind : {none, relu, relu6, hardtanh, sigmoid, prelu, rprelu})
    for (std::size_t channels = 1; channels <= 40; ++channels) {
      const Shape shape{random.in(1, 4), random.in(1, 5), channels};
      const Tensor<float> x = random.floats(shape, kind == sigmoid ? 100.0F : 10.0F);
      std::vector<float> slope, in, out;
      if (kind == prelu || kind == rprelu) slope = random.reals(channels);
      if (kind == rprelu) in = random.reals(channels), out = random.reals(channels);
      Tensor<float> expected(shape);
      for (std::size_t i = 0; i < shape.elements(); ++i) {
        const float y = x.data()[i];
        const std::size_t c = i % channels;
        float& result = expected.data()[i];
        if (kind == none) result = y;
        if (kind == relu) result = std::max(y, 0.0F);
        if (kind == relu6) result = std::clamp(y, 0.0F, 6.0F);
        if (kind == hardtanh) result = std::clamp(y, -1.0F, 1.0F);
        if (kind == prelu) result = y >= 0 ? y : slope[c] * y;
        if (kind == rprelu) {
          const float t = y + in[c], u = t >= 0 ? t : slope[c] * t;
          result = u + out[c];
        }
        if (kind == sigmoid) result = static_cast<float>(1 / (1 + std::exp(-static_cast<double>(y))));
      }
      const Activation op({kind, slope, in, out}, channels);
      if (kind == sigmoid || kind == rprelu) {  // rounding of its own, or a product that this file's flags may contract
        Tensor<float> reference(shape);
        op.run(x, reference, OwnWorkspace(kernels::reference_table()));
        for (std::size_t i = 0; i < shape.elements(); ++i) CHECK(reference.data()[i] == Approx(expected.data()[i]).margin(2e-6));
        expected = reference;
      }
      testing::expect_everywhere(
          expected, [&](const kernels::KernelTable&) { return op; }, testing::no_scratch,
          [&](const Activation& a, const TensorView<float>& result, const Workspace& workspace) { a.run(x, result, workspace); });
    }
}

TEST_CASE("activation: parameters must fit the kind") {
  const std::vector<float> three(3), two(2), nan(3, std::nanf(""));
  CHECK_NOTHROW(Activation({prelu, three, {}, {}}, 3));
  CHECK_NOTHROW(Activation({rprelu, three, three, three}, 3));
  CHECK_THROWS_AS(Activation({prelu, {}, {}, {}}, 3), Error);
  CHECK_THROWS_AS(Activation({prelu, two, {}, {}}, 3), Error);
  CHECK_THROWS_AS(Activation({prelu, nan, {}, {}}, 3), Error);
  CHECK_THROWS_AS(Activation({prelu, three, three, {}}, 3), Error);
  CHECK_THROWS_AS(Activation({rprelu, three, three, {}}, 3), Error);
  CHECK_THROWS_AS(Activation({rprelu, three, {}, three}, 3), Error);
  CHECK_THROWS_AS(Activation({relu, three, {}, {}}, 3), Error);
}
