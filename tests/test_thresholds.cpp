// SPDX-License-Identifier: Apache-2.0
#include "ops_testing.hpp"

#include <bimtdp/ops/thresholds.hpp>

#include <cmath>
#include <limits>

using namespace bimtdp;
using namespace bimtdp::ops;

namespace {

/// Compares the thresholds with the kernel's float expression at every d.
void check_all(const EpilogueParameters& parameters, std::size_t channels, std::int32_t limit) {
  for (const auto* table : testing::all_tables()) {
    const PreparedEpilogue epilogue(parameters, channels, "test");
    const ThresholdTable thresholds = find_thresholds(*table, epilogue, channels, limit, "test");
    std::vector<float> x(channels), y(channels);
    std::size_t wrong = 0;
    for (std::int32_t d = -limit; d <= limit; ++d) {
      std::fill(x.begin(), x.end(), static_cast<float>(d));
      table->epilogue(x.data(), channels, 1, channels, epilogue.at(), y.data());
      for (std::size_t c = 0; c < channels; ++c)
        wrong += (y[c] >= 0.0F) != (thresholds.at_least[c] <= d && d <= thresholds.at_most[c]);
    }
    CHECK(wrong == 0);
  }
}

}  // namespace

TEST_CASE("thresholds equal the float expression at every dot product") {
  testing::Random random(11);
  for (int round = 0; round < 200; ++round) {
    const std::size_t channels = random.in(1, 40);
    const auto limit = static_cast<std::int32_t>(random.in(0, 1500));
    const float spread = static_cast<float>(limit) + 1.0F;
    std::vector<float> alpha = random.reals(channels), scale = random.reals(channels), bias = random.reals(channels, spread);
    for (std::size_t c = 0; c < channels; ++c) {
      if (random.in(0, 9) == 0) scale[c] = random.coin() ? 0.0F : -0.0F;
      if (random.in(0, 9) == 0) bias[c] = random.coin() ? 0.0F : -0.0F;
      if (random.in(0, 9) == 0) alpha[c] = 0.0F;
      if (random.in(0, 9) == 0) bias[c] = -scale[c] * static_cast<float>(random.in(0, 100));  // an exact tie
      if (random.in(0, 9) == 0) scale[c] *= 1e-30F;
      if (random.in(0, 9) == 0) scale[c] *= 1e30F;
    }
    check_all({alpha, scale, bias, {}}, channels, limit);
    check_all({{}, scale, bias, {}}, channels, limit);
    check_all({alpha, {}, bias, {}}, channels, limit);
    check_all({alpha, {}, {}, {}}, channels, limit);
    check_all({{}, {}, bias, {}}, channels, limit);
  }
  check_all({}, 3, 100);
}

TEST_CASE("thresholds where a float of the products is no longer exact in between") {
  const std::vector<float> scale{1e-7F, -3e-8F, 1.0F, -1.0F}, bias{0.3F, 0.1F, -16777215.0F, 16777215.0F};
  check_all({{}, scale, bias, {}}, 4, 100000);
  const PreparedEpilogue epilogue({{}, scale, bias, {}}, 4, "test");
  const ThresholdTable t = find_thresholds(kernels::reference_table(), epilogue, 4, 1 << 24, "test");
  CHECK(t.at_least[2] == 16777215);
  CHECK(t.at_most[3] == 16777215);
}

TEST_CASE("constant channels") {
  const std::vector<float> scale{0.0F, -0.0F, 0.0F, 1.0F, 1.0F}, bias{1.0F, -1.0F, -0.0F, 1000.0F, -1000.0F};
  const PreparedEpilogue epilogue({{}, scale, bias, {}}, 5, "test");
  const ThresholdTable t = find_thresholds(kernels::reference_table(), epilogue, 5, 50, "test");
  constexpr auto lowest = std::numeric_limits<std::int32_t>::min(), highest = std::numeric_limits<std::int32_t>::max();
  for (const std::size_t always : {0U, 2U, 3U}) {
    CHECK(t.at_least[always] == lowest);
    CHECK(t.at_most[always] == highest);
  }
  for (const std::size_t never : {1U, 4U}) CHECK(t.at_least[never] > t.at_most[never]);
}

TEST_CASE("expressions that leave the finite floats are refused") {
  const std::vector<float> huge{3e38F}, zero{0.0F}, one{1.0F};
  const auto find = [](const EpilogueParameters& p, std::int32_t limit) {
    return find_thresholds(kernels::reference_table(), PreparedEpilogue(p, 1, "test"), 1, limit, "test");
  };
  CHECK_THROWS_AS(find({huge, zero, one, {}}, 10), Error);  // infinity * 0
  CHECK_THROWS_AS(find({huge, {}, {}, {}}, 10), Error);
  CHECK_THROWS_AS(find({}, (1 << 24) + 1), Error);
  CHECK_NOTHROW(find({huge, {}, {}, {}}, 1));
}
