// SPDX-License-Identifier: Apache-2.0
#include "ops_testing.hpp"

#include <bimtdp/ops/window_stretches.hpp>

using namespace bimtdp;
using namespace bimtdp::ops;

TEST_CASE("stretches cover the row, and all pixels of a stretch see the listed taps") {
  testing::Random random(21);
  for (int round = 0; round < 500; ++round) {
    const Shape shape{random.in(1, 12), random.in(1, 20), 1};
    const Window window = random.window(shape);
    INFO(shape << " " << testing::text(window));
    const WindowStretches stretches(shape, window, "test");
    const std::vector<float> map(shape.pixels());
    const std::size_t longest = random.in(1, 8), y = random.in(0, stretches.rows().output - 1);
    std::vector<kernels::Tap<float>> taps(stretches.max_taps());
    std::size_t next = 0;
    stretches.for_each_stretch(longest, [&](std::size_t x, std::size_t pixels) {
      CHECK(x == next);
      CHECK((pixels >= 1 && pixels <= longest));
      next = x + pixels;
      const std::size_t count = stretches.taps(y, x, map.data(), 1, taps.data());
      for (std::size_t p = 0; p < pixels; ++p) {
        std::size_t t = 0;
        bool right = true;
        testing::for_each_tap(shape, window, y, x + p, [&](std::size_t ky, std::size_t kx, std::size_t row, std::size_t column) {
          right = right && t < count && taps[t].index == ky * window.kernel[1] + kx &&
                  taps[t].pixel + p * window.stride[1] == map.data() + row * shape.width + column;
          ++t;
        });
        CHECK((right && t == count));
      }
    });
    CHECK(next == stretches.columns().output);
  }
}

TEST_CASE("an interior is one stretch") {
  const WindowStretches stretches({10, 50, 1}, {{3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}}, "test");
  std::vector<std::size_t> lengths;
  stretches.for_each_stretch(1000, [&](std::size_t, std::size_t pixels) { lengths.push_back(pixels); });
  CHECK(lengths == std::vector<std::size_t>{1, 48, 1});
}

TEST_CASE("windows that do not fit, and huge ones, are refused") {
  CHECK_THROWS_AS(WindowStretches({4, 4, 1}, {{5, 5}, {1, 1}, {1, 1}, {}}, "test"), Error);
  CHECK_THROWS_AS(WindowStretches({4, 4, 1}, {{1, 1}, {0, 1}, {1, 1}, {}}, "test"), Error);
  CHECK_THROWS_AS(WindowStretches({4, 4, 1}, {{1, 1}, {1, 1}, {1, 1}, {max_extent, max_extent, 0, 0}}, "test"), Error);
  CHECK_THROWS_AS(WindowStretches({4, 4, 1}, {{1, 1}, {1, 1}, {1, 1}, {max_extent + 1, 0, 0, 0}}, "test"), Error);
  CHECK_THROWS_AS(WindowStretches({4, 4, 1}, {{2, 2}, {1, 1}, {~std::size_t{0}, 1}, {}}, "test"), Error);
}
