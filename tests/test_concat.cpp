// SPDX-License-Identifier: Apache-2.0
#include "ops_testing.hpp"

#include <bimtdp/ops/concat.hpp>

using namespace bimtdp;
using namespace bimtdp::ops;
using testing::Random;

namespace {

template <class Map, class View>
void expect_concat(const Map& expected, const std::vector<View>& views) {
  testing::expect_everywhere(
      expected, [](const kernels::KernelTable&) { return Concat(); }, testing::no_scratch,
      [&](const Concat& op, const auto& out, const Workspace& workspace) { op.run(std::span<const View>(views), out, workspace); });
}

template <class Map>
void expect_slice(const Map& expected, const Map& in, std::size_t begin, std::size_t end) {
  testing::expect_everywhere(
      expected, [&](const kernels::KernelTable&) { return Slice(begin, end); }, testing::no_scratch,
      [&](const Slice& op, const auto& out, const Workspace& workspace) { op.run(in.view(), out, workspace); });
}

}  // namespace

TEST_CASE("concat of floats and of bits at any offset") {
  Random random(131);
  for (int round = 0; round < 50; ++round) {
    const std::size_t count = random.in(1, 5), height = random.in(1, 5), width = random.in(1, 7);
    std::vector<Tensor<float>> maps;
    std::vector<BitTensor<std::uint32_t>> bits;
    std::vector<BitTensor<std::uint64_t>> wide;
    std::size_t channels = 0;
    for (std::size_t i = 0; i < count; ++i) {
      maps.push_back(random.floats({height, width, random.in(1, 80)}));
      bits.push_back(pack<std::uint32_t>(maps.back()));
      wide.push_back(pack<std::uint64_t>(maps.back()));
      channels += maps.back().shape().channels;
    }
    Tensor<float> expected({height, width, channels});
    for (std::size_t y = 0; y < height; ++y)
      for (std::size_t x = 0; x < width; ++x) {
        std::size_t at = 0;
        for (const auto& map : maps)
          for (std::size_t c = 0; c < map.shape().channels; ++c) expected(y, x, at++) = map(y, x, c);
      }
    const std::vector<TensorView<const float>> views(maps.begin(), maps.end());
    const std::vector<BitView<const std::uint32_t>> bit_views(bits.begin(), bits.end());
    const std::vector<BitView<const std::uint64_t>> wide_views(wide.begin(), wide.end());
    const auto expected_bits = pack<std::uint32_t>(expected);
    expect_concat(expected, views);
    expect_concat(expected_bits, bit_views);
    expect_concat(pack<std::uint64_t>(expected), wide_views);
    CHECK(testing::same(concat(views), expected));
    CHECK(concat<std::uint32_t>(bit_views) == expected_bits);

    std::size_t begin = 0;  // and back again
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t end = begin + maps[i].shape().channels;
      expect_slice(maps[i], expected, begin, end);
      expect_slice(bits[i], expected_bits, begin, end);
      CHECK(slice(expected_bits, begin, end) == bits[i]);
      begin = end;
    }
  }
}

TEST_CASE("concat and slice: errors") {
  const Shape shapes[] = {{2, 3, 4}, {2, 4, 4}}, many[] = {{1, 1, max_extent}, {1, 1, 1}};
  CHECK_THROWS_AS(Concat().output_shape({}), Error);
  CHECK_THROWS_AS(Concat().output_shape(shapes), Error);
  CHECK_THROWS_AS(Concat().output_shape(many), Error);
  CHECK_THROWS_AS(Slice(3, 3), Error);
  CHECK_THROWS_AS(Slice(3, 5).output_shape({1, 1, 4}), Error);
}
