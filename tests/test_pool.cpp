// SPDX-License-Identifier: Apache-2.0
#include "ops_testing.hpp"

#include <bimtdp/ops/pool.hpp>

#include <cmath>
#include <limits>

using namespace bimtdp;
using namespace bimtdp::ops;
using testing::Random;

namespace {

/// A window whose every position sees a pixel.
Window pool_window(Random& random, const Shape& shape, bool dilate) {
  for (;;) {
    const Window w = random.window(shape, dilate);
    const Shape out = window_shape(shape, w, 1, "test");
    bool all = true;
    for (std::size_t y = 0; y < out.height; ++y)
      for (std::size_t x = 0; x < out.width; ++x) {
        bool any = false;
        testing::for_each_tap(shape, w, y, x, [&](auto...) { any = true; });
        all = all && any;
      }
    if (all) return w;
    CHECK_THROWS_AS(MaxPool2d(w).output_shape(shape), Error);
  }
}

template <class Op, class Map>
void expect(const Op& op, const auto& in, const Map& expected) {
  const auto make = [&](const kernels::KernelTable&) { return op; };
  const auto scratch = [&](const Op& pool) { return pool.scratch_bytes(in.shape()); };
  testing::expect_everywhere(expected, make, scratch, [&](const Op& pool, const auto& out, const Workspace& workspace) {
    pool.run(in.view(), out, workspace);
  });
  if constexpr (!std::is_same_v<Op, AdaptiveAveragePool2d>)
    testing::expect_rows_everywhere(expected, make, scratch,
                                    [&](const Op& pool, std::size_t first, const auto& out, const Workspace& workspace) {
                                      pool.run_rows(in.view(), first, out, workspace);
                                    });
}

}  // namespace

TEST_CASE("max_pool2d on floats") {
  Random random(111);
  for (int round = 0; round < 90; ++round) {
    const Shape shape{random.in(1, 9), random.in(1, 14), random.in(1, 40)};
    const Window window = pool_window(random, shape, true);
    INFO(shape << " " << testing::text(window));
    const Tensor<float> in = random.floats(shape);
    Tensor<float> expected(window_shape(shape, window, shape.channels, "test"));
    for (std::size_t y = 0; y < expected.shape().height; ++y)
      for (std::size_t x = 0; x < expected.shape().width; ++x)
        for (std::size_t c = 0; c < shape.channels; ++c) {
          float most = -std::numeric_limits<float>::infinity();
          testing::for_each_tap(shape, window, y, x, [&](auto, auto, std::size_t row, std::size_t column) {
            most = std::max(most, in(row, column, c));
          });
          expected(y, x, c) = most;
        }
    expect(MaxPool2d(window), in, expected);
    CHECK(testing::same(max_pool2d(in, window), expected));
  }
}

TEMPLATE_TEST_CASE("max_pool2d on bits equals that on +-1", "", std::uint32_t, std::uint64_t) {
  Random random(112);
  for (int round = 0; round < 100; ++round) {
    const Shape shape{random.in(1, 9), random.in(1, 14), random.in(1, 130)};
    const Window window = pool_window(random, shape, true);
    const auto in = random.bits<TestType>(shape);
    const auto expected = pack<TestType>(max_pool2d(unpack(in.view()), window, kernels::reference_table()));
    expect(MaxPool2d(window), in, expected);
    CHECK(max_pool2d(in, window) == expected);
  }
}

TEST_CASE("avg_pool2d, with and without the padding in the count") {
  Random random(113);
  for (int round = 0; round < 90; ++round) {
    const Shape shape{random.in(1, 9), random.in(1, 14), random.in(1, 40)};
    const Window window = pool_window(random, shape, false);
    const bool with_pad = random.coin();
    const Tensor<float> in = random.floats(shape);
    Tensor<float> expected(window_shape(shape, window, shape.channels, "test"));
    for (std::size_t y = 0; y < expected.shape().height; ++y)
      for (std::size_t x = 0; x < expected.shape().width; ++x)
        for (std::size_t c = 0; c < shape.channels; ++c) {
          float sum = 0, count = 0;
          testing::for_each_tap(shape, window, y, x,
                                [&](auto, auto, std::size_t row, std::size_t column) { sum += in(row, column, c), count += 1; });
          expected(y, x, c) = sum / (with_pad ? static_cast<float>(window.taps()) : count);
        }
    expect(AveragePool2d(window, with_pad), in, expected);
    CHECK(testing::same(average_pool2d(in, window, with_pad), expected));
  }
  CHECK_THROWS_AS(AveragePool2d({{2, 2}, {1, 1}, {2, 2}, {}}, true), Error);
}

TEST_CASE("adaptive_avg_pool2d: PyTorch's bins") {
  Random random(114);
  for (int round = 0; round < 90; ++round) {
    const Shape shape{random.in(1, 20), random.in(1, 20), random.in(1, 40)};
    const std::size_t height = random.coin() ? 1 : random.in(1, 25), width = random.coin() ? 1 : random.in(1, 25);
    const Tensor<float> in = random.floats(shape);
    Tensor<float> expected({height, width, shape.channels});
    const auto first = [](std::size_t i, std::size_t in_size, std::size_t out_size) {
      return static_cast<std::size_t>(std::floor(static_cast<double>(i * in_size) / static_cast<double>(out_size)));
    };
    const auto last = [](std::size_t i, std::size_t in_size, std::size_t out_size) {
      return static_cast<std::size_t>(std::ceil(static_cast<double>((i + 1) * in_size) / static_cast<double>(out_size)));
    };
    for (std::size_t y = 0; y < height; ++y)
      for (std::size_t x = 0; x < width; ++x)
        for (std::size_t c = 0; c < shape.channels; ++c) {
          double sum = 0, count = 0;
          for (std::size_t row = first(y, shape.height, height); row < last(y, shape.height, height); ++row)
            for (std::size_t column = first(x, shape.width, width); column < last(x, shape.width, width); ++column)
              sum += static_cast<double>(in(row, column, c)), count += 1;
          expected(y, x, c) = static_cast<float>(sum / count);
        }
    expect(AdaptiveAveragePool2d(height, width), in, expected);
    CHECK(testing::same(adaptive_average_pool2d(in, height, width), expected));
  }
  CHECK_THROWS_AS(AdaptiveAveragePool2d(0, 1), Error);
  CHECK_THROWS_AS(AdaptiveAveragePool2d(1, 1).output_shape({0, 3, 4}), Error);
}
