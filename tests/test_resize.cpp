// SPDX-License-Identifier: Apache-2.0
#include "ops_testing.hpp"

#include <bimtdp/ops/resize.hpp>

#include <cmath>

using namespace bimtdp;
using namespace bimtdp::ops;
using testing::Random;

namespace {

template <class Op, class Map>
void expect(const auto& in, const Map& expected) {
  const std::size_t height = expected.shape().height, width = expected.shape().width;
  const auto make = [](const kernels::KernelTable&) { return Op(); };
  const auto scratch = [&](const Op& op) {
    if constexpr (std::is_same_v<Op, ResizeBilinear>) return op.scratch_bytes(in.shape(), height, width);
    return std::size_t{0};
  };
  testing::expect_everywhere(expected, make, scratch,
                             [&](const Op& op, const auto& out, const Workspace& workspace) { op.run(in.view(), out, workspace); });
  testing::expect_rows_everywhere(expected, make, scratch,
                                  [&](const Op& op, std::size_t first, const auto& out, const Workspace& workspace) {
                                    op.run_rows(in.view(), height, first, out, workspace);
                                  });
}

}  // namespace

TEST_CASE("resize_bilinear: near the formula in double, same bits everywhere") {
  Random random(121);
  for (int round = 0; round < 50; ++round) {
    const Shape shape{random.in(1, 12), random.in(1, 20), random.in(1, 40)};
    const std::size_t factor = std::size_t{1} << random.in(0, 3);
    const bool power = random.coin();
    const std::size_t height = power ? shape.height * factor : random.in(1, 40),
                      width = power ? shape.width * factor : random.in(1, 40);
    const Tensor<float> in = random.floats(shape);
    const Tensor<float> out = resize_bilinear(in, height, width, kernels::reference_table());
    double worst = 0;
    for (std::size_t y = 0; y < height; ++y)
      for (std::size_t x = 0; x < width; ++x) {
        const auto source = [](std::size_t i, std::size_t from, std::size_t to) {
          return std::max((static_cast<double>(i) + 0.5) * static_cast<double>(from) / static_cast<double>(to) - 0.5, 0.0);
        };
        const double sy = source(y, shape.height, height), sx = source(x, shape.width, width);
        const auto y0 = static_cast<std::size_t>(sy), x0 = static_cast<std::size_t>(sx);
        const std::size_t y1 = std::min(y0 + 1, shape.height - 1), x1 = std::min(x0 + 1, shape.width - 1);
        const double fy = sy - static_cast<double>(y0), fx = sx - static_cast<double>(x0);
        for (std::size_t c = 0; c < shape.channels; ++c) {
          const auto at = [&](std::size_t row, std::size_t column) { return static_cast<double>(in(row, column, c)); };
          const double value =
              (1 - fy) * ((1 - fx) * at(y0, x0) + fx * at(y0, x1)) + fy * ((1 - fx) * at(y1, x0) + fx * at(y1, x1));
          worst = std::max(worst, std::abs(value - static_cast<double>(out(y, x, c))));
        }
      }
    CHECK(worst < 1e-5);
    expect<ResizeBilinear>(in, out);
  }
}

TEST_CASE("resize_bilinear: a map too large for the caches is the same on every tier") {
  Random random(124);
  const Tensor<float> in = random.floats({64, 63, 17});
  const Tensor<float> expected = resize_bilinear(in, 256, 252, kernels::reference_table());
  REQUIRE(expected.shape().elements() > (std::size_t{1} << 20));
  for (const kernels::KernelTable* table : kernels::tables()) {
    INFO(table->name);
    CHECK(testing::same(resize_bilinear(in, 256, 252, *table), expected));
  }
}

TEST_CASE("resize_nearest on floats and bits") {
  Random random(122);
  for (int round = 0; round < 50; ++round) {
    const Shape shape{random.in(1, 12), random.in(1, 20), random.in(1, 70)};
    const std::size_t height = random.in(1, 40), width = random.in(1, 40);
    const Tensor<float> in = random.floats(shape);
    Tensor<float> expected({height, width, shape.channels});
    for (std::size_t y = 0; y < height; ++y)
      for (std::size_t x = 0; x < width; ++x)
        for (std::size_t c = 0; c < shape.channels; ++c) {
          const auto nearest = [](std::size_t i, std::size_t from, std::size_t to) {
            return std::min(
                static_cast<std::size_t>(std::floor(static_cast<float>(i) * (static_cast<float>(from) / static_cast<float>(to)))),
                from - 1);
          };
          expected(y, x, c) = in(nearest(y, shape.height, height), nearest(x, shape.width, width), c);
        }
    expect<ResizeNearest>(in, expected);
    const auto bits = pack<std::uint32_t>(in);
    const auto wide = pack<std::uint64_t>(in);
    expect<ResizeNearest>(bits, pack<std::uint32_t>(expected));
    expect<ResizeNearest>(wide, pack<std::uint64_t>(expected));
    CHECK(resize_nearest(bits, height, width) == pack<std::uint32_t>(expected));
    CHECK(testing::same(resize_nearest(in, height, width), expected));
  }
}

TEST_CASE("doubling: the sign of bilinear equals nearest") {
  Random random(123);
  const auto bits = random.bits({5, 7, 33});
  const Tensor<float> bilinear = resize_bilinear(unpack(bits.view()), 10, 14);
  CHECK(pack<std::uint32_t>(bilinear) == resize_nearest(bits, 10, 14));
}

TEST_CASE("resize: errors") {
  CHECK_THROWS_AS(ResizeBilinear().output_shape({3, 3, 1}, 0, 4), Error);
  CHECK_THROWS_AS(ResizeBilinear().output_shape({0, 3, 1}, 4, 4), Error);
  CHECK_THROWS_AS(ResizeNearest().output_shape({3, 3, 1}, max_extent + 1, 4), Error);
  Tensor<float> in({2, 2, 3}), out({4, 4, 4});
  CHECK_THROWS_AS(ResizeNearest().run(in, out.view(), OwnWorkspace(kernels::reference_table())), Error);
}
