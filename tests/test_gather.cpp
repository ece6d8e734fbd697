// SPDX-License-Identifier: Apache-2.0
#include "ops_testing.hpp"

#include <bimtdp/ops/gather.hpp>

using namespace bimtdp;
using namespace bimtdp::ops;

TEMPLATE_TEST_CASE("gather of channels and of pixels", "", std::uint32_t, std::uint64_t) {
  testing::Random random(141);
  for (int round = 0; round < 100; ++round) {
    const auto in = random.bits<TestType>({random.in(1, 5), random.in(1, 6), random.in(1, 130)});
    std::vector<std::size_t> channels(random.in(0, 150));
    for (auto& c : channels) c = random.in(0, in.shape().channels - 1);
    const auto chosen = gather_channels(in, channels);
    CHECK(chosen.view().tail_is_zero());
    bool right = true;
    for (std::size_t c = 0; c < channels.size(); ++c)
      right = right && chosen(in.shape().height - 1, 0, c) == in(in.shape().height - 1, 0, channels[c]);
    CHECK(right);

    const std::size_t height = random.in(1, 4), width = random.in(1, 4);
    std::vector<std::size_t> pixels(height * width);
    for (auto& p : pixels) p = random.in(0, in.shape().pixels() - 1);
    const auto moved = gather_pixels(in, pixels, height, width);
    for (std::size_t i = 0; i < pixels.size(); ++i)
      for (std::size_t c = 0; c < in.shape().channels; ++c)
        right = right && moved(i / width, i % width, c) == in(pixels[i] / in.shape().width, pixels[i] % in.shape().width, c);
    CHECK(right);
  }
}

TEST_CASE("gather: errors") {
  const BitTensor<std::uint32_t> in({2, 2, 3});
  const std::size_t far_channel[] = {3}, far_pixel[] = {4}, one[] = {0};
  CHECK_THROWS_AS(gather_channels(in, far_channel), Error);
  CHECK_THROWS_AS(gather_pixels(in, far_pixel, 1, 1), Error);
  CHECK_THROWS_AS(gather_pixels(in, one, 2, 1), Error);
}
