// SPDX-License-Identifier: Apache-2.0
// Every binary kernel of every table against the reference, on odd sizes. Buffers have their exact size.
#include "kernel_cases.hpp"

using namespace cases;
using bimtdp::kernels::reference_table;
using bimtdp::kernels::Thresholds;

namespace {

struct Counts {
  std::vector<std::int32_t> values;  // [pixel][channel]
};

Counts binary_gemm(const KernelTable& table, const Window<std::uint32_t>& window, const std::vector<std::uint32_t>& weights,
                   std::size_t channels, std::size_t taps, std::size_t depth, std::size_t step, std::size_t pixels) {
  const AlignedVector<std::uint32_t> laid = lay_out(weights, channels, taps, depth, table.binary_lanes);
  const std::size_t blocks = (channels + table.binary_lanes - 1) / table.binary_lanes, stride = blocks * table.binary_lanes;
  std::vector<std::int32_t> raw(pixels * stride, -7);
  table.binary_gemm({window.taps.data(), window.taps.size(), taps, depth, step, pixels, laid.data(), blocks}, raw.data());
  Counts counts;
  for (std::size_t p = 0; p < pixels; ++p)
    for (std::size_t c = 0; c < channels; ++c) counts.values.push_back(raw[p * stride + c]);
  return counts;
}

void check_gemm(std::size_t channels, std::size_t taps, std::size_t used, std::size_t depth, std::size_t pixels) {
  const std::size_t step = depth * (1 + below(2)) + below(2);
  const Window<std::uint32_t> window(words(pixels * step + depth + 9), pixels, step, depth, used, taps);
  const std::vector<std::uint32_t> weights = words(channels * taps * depth);
  const Counts expected = binary_gemm(reference_table(), window, weights, channels, taps, depth, step, pixels);
  for_each_table([&](const KernelTable& table) {
    INFO(table.name << ": channels " << channels << ", taps " << used << " of " << taps << ", depth " << depth << ", pixels "
                    << pixels);
    const Counts got = binary_gemm(table, window, weights, channels, taps, depth, step, pixels);
    REQUIRE(first_difference(got.values, expected.values) == expected.values.size());
  });
}

}  // namespace

TEST_CASE("binary_gemm: every number of channels and of pixels") {
  for (std::size_t channels = 1; channels <= 70; ++channels) check_gemm(channels, 9, 9 - below(6), 1 + below(3), 1 + below(40));
  for (std::size_t pixels = 0; pixels <= 40; ++pixels) check_gemm(1 + below(150), 9, below(10), 1 + below(9), pixels);
}

TEST_CASE("binary_gemm: taps from none to 49, deep pixels, all words different") {
  for (std::size_t used = 0; used <= 49; used += 1 + below(3)) check_gemm(33, 49, used, 1 + below(2), 5);
  for (const std::size_t depth : {8u, 30u, 31u, 32u, 33u, 62u, 63u, 100u}) check_gemm(130, 9, 9, depth, 9);
  // All bits differ: byte sums must not overflow.
  const std::vector<std::uint32_t> ones(64 * 17 * 80, ~0u);
  const Window<std::uint32_t> window(std::vector<std::uint32_t>(80, 0u), 1, 80, 80, 17, 17);
  for_each_table([&](const KernelTable& table) {
    const Counts got = binary_gemm(table, window, ones, 64, 17, 80, 80, 1);
    CHECK(std::all_of(got.values.begin(), got.values.end(), [](std::int32_t n) { return n == 17 * 80 * 32; }));
  });
}

TEST_CASE("binary_depthwise") {
  for (int round = 0; round < 60; ++round) {
    const std::size_t taps = round == 0 ? 300 : 1 + below(49), used = below(taps + 1), depth = 1 + below(5), pixels = 1 + below(20);
    const std::size_t step = depth * (1 + below(2));
    const Window<std::uint32_t> window(words(pixels * step + depth + 9), pixels, step, depth, round == 0 ? 299 : used, taps);
    const std::vector<std::uint32_t> weights = words(taps * depth);
    const Depthwise<std::uint32_t> d{window.taps.data(), window.taps.size(), depth, step, pixels, weights.data()};
    std::vector<std::int32_t> expected(pixels * depth * 32), got(expected.size());
    reference_table().binary_depthwise(d, expected.data());
    for_each_table([&](const KernelTable& table) {
      INFO(table.name << ": taps " << d.tap_count << ", depth " << depth);
      table.binary_depthwise(d, got.data());
      REQUIRE(first_difference(got, expected) == expected.size());
    });
  }
}

TEST_CASE("dot_integer and dot_bits") {
  for (std::size_t channels = 1; channels <= 75; ++channels) {
    const std::size_t pixels = 1 + below(6), stride = channels + below(9), each = (channels + 31) / 32;
    const auto valid = static_cast<std::int32_t>(100 + below(200));
    std::vector<std::int32_t> counts((pixels - 1) * stride + channels), low(channels), high(channels);
    for (std::int32_t& n : counts) n = static_cast<std::int32_t>(below(300));
    for (std::size_t c = 0; c < channels; ++c) {
      constexpr std::int32_t least = std::numeric_limits<std::int32_t>::min(), most = std::numeric_limits<std::int32_t>::max();
      const auto cut = static_cast<std::int32_t>(below(400)) - 200;
      const std::size_t kind = below(4);
      low[c] = kind == 0 ? least : kind == 3 ? most : cut;
      high[c] = kind == 1 ? most : kind == 3 ? least : cut + (kind == 2 ? 30 : 0);
      if (below(3) == 0) counts[c] = (valid - cut) / 2;  // a tie with the threshold
    }
    std::vector<std::int32_t> expected(pixels * channels), got(expected.size());
    std::vector<std::uint32_t> expected_bits(pixels * each), got_bits(pixels * each, ~0u);
    reference_table().dot_integer(counts.data(), stride, valid, pixels, channels, expected.data());
    reference_table().dot_bits(counts.data(), stride, valid, pixels, channels, Thresholds{low.data(), high.data()},
                               expected_bits.data());
    for_each_table([&](const KernelTable& table) {
      INFO(table.name << ": channels " << channels);
      table.dot_integer(counts.data(), stride, valid, pixels, channels, got.data());
      REQUIRE(first_difference(got, expected) == expected.size());
      table.dot_bits(counts.data(), stride, valid, pixels, channels, Thresholds{low.data(), high.data()}, got_bits.data());
      REQUIRE(first_difference(got_bits, expected_bits) == expected_bits.size());
    });
  }
}

TEST_CASE("binarize, unpack and gate") {
  for (std::size_t channels = 1; channels <= 75; ++channels) {
    const std::size_t pixels = 1 + below(6), each = (channels + 31) / 32;
    std::vector<float> x = floats(pixels * channels, true);
    const std::vector<float> scale = floats(channels, true), shift = floats(channels, true);
    for (std::size_t i = 0; i < channels && i < x.size(); i += 3) x[i] = -shift[i];  // ties at 0
    for (int form = 0; form < 3; ++form) {
      const float* const a = form == 2 ? scale.data() : nullptr;
      const float* const b = form == 0 ? nullptr : shift.data();
      std::vector<std::uint32_t> expected(pixels * each, 5u);
      reference_table().binarize(x.data(), pixels, channels, a, b, expected.data());
      for_each_table([&](const KernelTable& table) {
        INFO(table.name << ": channels " << channels << ", form " << form);
        std::vector<std::uint32_t> got(pixels * each, 9u);
        table.binarize(x.data(), pixels, channels, a, b, got.data());
        REQUIRE(first_difference(got, expected) == expected.size());
      });
    }
    const std::vector<std::uint32_t> bits = packed(pixels, channels);
    std::vector<float> expected(x.size()), expected_gate = x;
    reference_table().unpack(bits.data(), pixels, channels, expected.data());
    reference_table().gate(bits.data(), pixels, channels, expected_gate.data());
    for_each_table([&](const KernelTable& table) {
      INFO(table.name << ": channels " << channels);
      std::vector<float> got(x.size()), got_gate = x;
      table.unpack(bits.data(), pixels, channels, got.data());
      REQUIRE(first_difference(got, expected) == expected.size());
      table.gate(bits.data(), pixels, channels, got_gate.data());
      REQUIRE(first_difference(got_gate, expected_gate) == expected_gate.size());
    });
  }
}
