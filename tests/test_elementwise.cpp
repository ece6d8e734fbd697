// SPDX-License-Identifier: Apache-2.0
#include "ops_testing.hpp"

#include <bimtdp/ops/elementwise.hpp>

using namespace bimtdp;
using namespace bimtdp::ops;

TEST_CASE("add: left to right, then the activation; into the first input too") {
  testing::Random random(101);
  for (int round = 0; round < 80; ++round) {
    const Shape shape{random.in(1, 5), random.in(1, 9), random.in(1, 50)};
    const std::size_t count = random.in(2, 6);
    const bool relu = random.coin();
    std::vector<Tensor<float>> maps;
    for (std::size_t i = 0; i < count; ++i) maps.push_back(random.floats(shape, i % 2 == 0 ? 1.0F : 1e4F));
    std::vector<TensorView<const float>> views(maps.begin(), maps.end());
    Tensor<float> expected(shape);
    for (std::size_t i = 0; i < shape.elements(); ++i) {
      float sum = maps[0].data()[i];
      for (std::size_t m = 1; m < count; ++m) sum += maps[m].data()[i];
      expected.data()[i] = relu && !(sum > 0) ? 0.0F : sum;
    }
    const Add op({relu ? kernels::ActivationKind::relu : kernels::ActivationKind::none, {}, {}, {}}, shape.channels);
    const auto make = [&](const kernels::KernelTable&) { return op; };
    testing::expect_everywhere(
        expected, make, testing::no_scratch,
        [&](const Add& add, const TensorView<float>& out, const Workspace& workspace) { add.run(views, out, workspace); });
    testing::expect_everywhere(expected, make, testing::no_scratch,
                               [&](const Add& add, const TensorView<float>& out, const Workspace& workspace) {
                                 std::copy_n(maps[0].data(), shape.elements(), out.data);
                                 auto in_place = views;
                                 in_place[0] = out;
                                 add.run(in_place, out, workspace);
                               });
  }
}

TEST_CASE("multiply: maps and per-channel factors") {
  testing::Random random(102);
  for (int round = 0; round < 80; ++round) {
    const Shape shape{random.in(1, 5), random.in(1, 9), random.in(1, 50)};
    const bool per_channel = random.coin();
    const Tensor<float> a = random.floats(shape), b = random.floats(per_channel ? Shape{1, 1, shape.channels} : shape);
    Tensor<float> expected(shape);
    for (std::size_t i = 0; i < shape.elements(); ++i)
      expected.data()[i] = a.data()[i] * b.data()[per_channel ? i % shape.channels : i];
    testing::expect_everywhere(
        expected, [](const kernels::KernelTable&) { return Multiply(); }, testing::no_scratch,
        [&](const Multiply& op, const TensorView<float>& out, const Workspace& workspace) { op.run(a, b, out, workspace); });
  }
}

TEST_CASE("elementwise: errors") {
  const Shape shapes[] = {{2, 3, 4}, {2, 3, 5}, {2, 3, 4}};
  CHECK_THROWS_AS(Add({}, 4).output_shape(shapes), Error);
  CHECK_THROWS_AS(Add({}, 4).output_shape(std::span(shapes).first(1)), Error);
  CHECK_THROWS_AS(Add({}, 5).output_shape(std::span(shapes).last(1)), Error);
  CHECK_THROWS_AS(Multiply().output_shape({2, 3, 4}, {1, 1, 5}), Error);
  CHECK_THROWS_AS(Multiply().output_shape({2, 3, 4}, {1, 3, 4}), Error);
  CHECK(Multiply().output_shape({1, 1, 4}, {1, 1, 4}) == Shape{1, 1, 4});
}
