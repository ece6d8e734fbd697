// SPDX-License-Identifier: Apache-2.0
#include "ops_testing.hpp"

#include <bimtdp/ops/softmax.hpp>

#include <cmath>

using namespace bimtdp;
using namespace bimtdp::ops;

TEST_CASE("softmax over consecutive channels: near the formula, same bits everywhere, in place too") {
  testing::Random random(151);
  for (int round = 0; round < 80; ++round) {
    const std::size_t group = random.in(1, 9);
    const Shape shape{random.in(1, 5), random.in(1, 7), group * random.in(1, 20)};
    const Tensor<float> x = random.floats(shape, random.coin() ? 5.0F : 200.0F);
    const Softmax op(group);
    Tensor<float> expected(shape);
    op.run(x, expected, OwnWorkspace(kernels::reference_table()));
    for (std::size_t i = 0; i < shape.elements(); i += group) {
      double largest = -1e300, sum = 0;
      for (std::size_t j = i; j < i + group; ++j) largest = std::max(largest, static_cast<double>(x.data()[j]));
      for (std::size_t j = i; j < i + group; ++j) sum += std::exp(static_cast<double>(x.data()[j]) - largest);
      for (std::size_t j = i; j < i + group; ++j)
        CHECK(static_cast<double>(expected.data()[j]) ==
              Approx(std::exp(static_cast<double>(x.data()[j]) - largest) / sum).margin(1e-6));
    }
    const auto make = [&](const kernels::KernelTable&) { return op; };
    testing::expect_everywhere(
        expected, make, testing::no_scratch,
        [&](const Softmax& softmax, const TensorView<float>& out, const Workspace& workspace) { softmax.run(x, out, workspace); });
    testing::expect_everywhere(expected, make, testing::no_scratch,
                               [&](const Softmax& softmax, const TensorView<float>& out, const Workspace& workspace) {
                                 std::copy_n(x.data(), shape.elements(), out.data);
                                 softmax.run(out, out, workspace);
                               });
  }
}

TEST_CASE("softmax: errors") {
  CHECK_THROWS_AS(Softmax(0), Error);
  CHECK_THROWS_AS(Softmax(3).output_shape({1, 1, 4}), Error);
}
