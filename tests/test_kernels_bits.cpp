// SPDX-License-Identifier: Apache-2.0
// Every binary kernel of every table against the reference, on odd sizes. Buffers have their exact size.
#include "kernel_cases.hpp"

#include <numeric>

using namespace cases;
using bimtdp::kernels::AttentionRow;
using bimtdp::kernels::reference_table;
using bimtdp::kernels::Thresholds;

namespace {

struct GemmCase {
  std::size_t channels, filter_words, used, pixels;  // channels of a pixel; words of a filter, and how many of them the run sees
};

/// The words of `count` filters or pixels as `table` stores them.
std::vector<std::uint32_t> stored(const KernelTable& table, std::vector<std::uint32_t> halves, std::size_t filter_words) {
  if (bimtdp::kernels::stored_as_pairs(table, filter_words))
    for (std::size_t i = 0; i < halves.size(); i += 2) halves[i + 1] ^= halves[i];
  return halves;
}

/// Weights [channel][word][half] as [block][word][half][lane], block after block of units of `unit` pixels.
AlignedVector<std::uint32_t> lay_out_units(const std::vector<std::uint32_t>& weights, const GemmCase& c, std::size_t unit,
                                           std::size_t lanes) {
  const std::size_t blocks = (unit * c.channels + lanes - 1) / lanes, each = c.filter_words * 2;
  AlignedVector<std::uint32_t> laid(blocks * each * lanes);
  for (std::size_t o = 0; o < unit * c.channels; ++o)
    for (std::size_t i = 0; i < each; ++i) laid[(o / lanes * each + i) * lanes + o % lanes] = weights[o % c.channels * each + i];
  return laid;
}

/// Counts [pixel][channel] in units of `unit` pixels. `pixels` holds filter_words planes, `indices` the words that the run sees.
std::vector<std::int32_t> binary_gemm(const KernelTable& table, const GemmCase& c, const std::vector<std::uint32_t>& pixels,
                                      const std::vector<std::uint32_t>& weights, const std::vector<std::size_t>& indices,
                                      std::size_t unit) {
  const std::vector<std::uint32_t> x = stored(table, pixels, c.filter_words);
  const AlignedVector<std::uint32_t> w = lay_out_units(stored(table, weights, c.filter_words), c, unit, table.binary_lanes);
  std::vector<PackedWord> list;
  for (const std::size_t i : indices) list.push_back({x.data() + i * (x.size() / c.filter_words), i});
  const std::size_t units = (c.pixels + unit - 1) / unit, blocks = w.size() / (2 * c.filter_words * table.binary_lanes);
  const std::size_t stride = blocks * table.binary_lanes + (unit == 1 ? below(5) : 0);
  std::vector<std::int32_t> raw(units * stride, -7), counts;
  table.binary_gemm({list.data(), list.size(), c.filter_words, w.data(), blocks, units, unit, c.channels, stride}, raw.data());
  for (std::size_t p = 0; p < c.pixels; ++p)
    for (std::size_t o = 0; o < c.channels; ++o) counts.push_back(raw[p / unit * stride + p % unit * c.channels + o]);
  return counts;
}

/// Every table against the reference, a pixel a unit and, where it can, units without idle lanes.
void check_gemm(const GemmCase& c) {
  const std::vector<std::uint32_t> pixels = words(c.filter_words * (c.pixels + bimtdp::kernels::pixel_slack) * 2),
                                   weights = words(c.channels * c.filter_words * 2);
  std::vector<std::size_t> indices;
  for (std::size_t i = 0; i < c.filter_words && indices.size() < c.used; ++i)
    if (c.filter_words - i <= c.used - indices.size() || below(2) == 0) indices.push_back(i);
  const auto expected = binary_gemm(reference_table(), c, pixels, weights, indices, 1);
  CHECK(binary_gemm(reference_table(), c, pixels, weights, indices, 3) == expected);
  for_each_table([&](const KernelTable& table) {
    INFO(table.name << ": channels " << c.channels << ", words " << c.used << " of " << c.filter_words << ", pixels " << c.pixels);
    REQUIRE(binary_gemm(table, c, pixels, weights, indices, 1) == expected);
    const std::size_t lanes = table.binary_lanes, unit = lanes / std::gcd(lanes, c.channels);
    if (table.binary_splits && c.channels >= lanes) REQUIRE(binary_gemm(table, c, pixels, weights, indices, unit) == expected);
  });
}

}  // namespace

KERNEL_CASE("join_bits", join_bits) {
  for (int round = 0; round < 300; ++round) {
    JoinBits j;
    j.first = below(32), j.bits = 1 + below(64 - j.first), j.shift = below(64), j.count = below(40), j.pairs = below(2) == 0;
    const std::size_t used = (j.first + j.bits + 31) / 32;
    j.step = used + below(4);
    const std::vector<std::uint32_t> pixels = words(j.count == 0 ? 0 : (j.count - 1) * j.step + used), low = words(2 * j.count);
    const bool spills = j.shift + j.bits > 64;
    const auto run = [&](const KernelTable& table) {
      std::vector<std::uint32_t> result = low;
      result.resize(2 * low.size(), 7u);
      JoinBits here = j;
      here.pixels = pixels.data(), here.low = result.data(), here.high = spills ? result.data() + low.size() : nullptr;
      table.join_bits(here);
      return result;
    };
    const std::vector<std::uint32_t> expected = run(reference_table());
    for_each_table([&](const KernelTable& table) {
      INFO(table.name << ": first " << j.first << ", bits " << j.bits << ", shift " << j.shift << ", count " << j.count << ", step "
                      << j.step);
      REQUIRE(run(table) == expected);
    });
  }
}

KERNEL_CASE("binary_gemm: every number of channels and of pixels", binary_gemm) {
  for (std::size_t channels = 1; channels <= 70; ++channels) check_gemm({channels, 9, 9 - below(6), 1 + below(40)});
  for (std::size_t channels = 1; channels <= 70; ++channels) check_gemm({channels, 3, 3 - below(2), 1 + below(40)});
  for (std::size_t pixels = 0; pixels <= 40; ++pixels) check_gemm({1 + below(150), 1 + below(20), below(2), pixels});
  for (std::size_t pixels = 1; pixels <= 40; ++pixels) check_gemm({1 + below(150), 18, 18, pixels});
}

KERNEL_CASE("binary_gemm: words from none to 200, all bits different", binary_gemm) {
  for (std::size_t used = 0; used <= 49; used += 1 + below(3)) check_gemm({33, 49, used, 5});
  for (const std::size_t words : {7u, 8u, 15u, 16u, 17u, 30u, 31u, 32u, 61u, 62u, 63u, 64u, 124u, 125u, 200u})
    check_gemm({130, words, words, 9});
  for (const std::size_t words : {1u, 7u, 8u, 16u, 17u, 31u, 32u, 62u, 63u, 200u}) {  // byte sums must not overflow
    const GemmCase c{20, words, words, 1};
    std::vector<std::size_t> indices(words);
    std::iota(indices.begin(), indices.end(), std::size_t{0});
    for_each_table([&](const KernelTable& table) {
      INFO(table.name << ": " << words);
      const auto counts = binary_gemm(table, c, std::vector<std::uint32_t>(words * 26, 0u),
                                      std::vector<std::uint32_t>(20 * words * 2, ~0u), indices, 1);
      CHECK(counts == std::vector<std::int32_t>(20, static_cast<std::int32_t>(words * 64)));
    });
  }
}

KERNEL_CASE("binary_depthwise", binary_depthwise) {
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

KERNEL_CASE("dot_integer", dot_integer) {
  for (std::size_t channels = 1; channels <= 75; ++channels) {
    const std::size_t pixels = 1 + below(6), stride = channels + below(9);
    const auto valid = static_cast<std::int32_t>(100 + below(200));
    std::vector<std::int32_t> counts((pixels - 1) * stride + channels), expected(pixels * channels), got(expected.size());
    for (std::int32_t& n : counts) n = static_cast<std::int32_t>(below(300));
    reference_table().dot_integer(counts.data(), stride, valid, pixels, channels, expected.data());
    for_each_table([&](const KernelTable& table) {
      INFO(table.name << ": channels " << channels);
      table.dot_integer(counts.data(), stride, valid, pixels, channels, got.data());
      REQUIRE(first_difference(got, expected) == expected.size());
    });
  }
}

KERNEL_CASE("correct_counts", correct_counts) {
  for (std::size_t channels = 1; channels <= 75; ++channels) {
    std::vector<std::int32_t> counts(channels + 1), above(channels), to_end(channels);
    for (auto* values : {&counts, &above, &to_end})
      for (std::int32_t& n : *values) n = static_cast<std::int32_t>(below(300));
    const auto shift = static_cast<std::int32_t>(below(50));
    std::vector<std::int32_t> expected = counts;
    reference_table().correct_counts(expected.data(), channels, shift, above.data(), to_end.data());
    for_each_table([&](const KernelTable& table) {
      std::vector<std::int32_t> got = counts;
      table.correct_counts(got.data(), channels, shift, above.data(), to_end.data());
      REQUIRE(first_difference(got, expected) == expected.size());
    });
  }
}

KERNEL_CASE("count_bits: dense pixels with repeated thresholds too", count_bits) {
  for (std::size_t channels = 1; channels <= 75; ++channels) {
    const std::size_t repeat = 1 + below(8), pixels = 1 + below(20), stride = channels + (repeat == 1 ? below(9) : 0);
    std::vector<std::int32_t> counts((pixels - 1) * stride + channels), low(repeat * channels), high(low.size());
    for (std::int32_t& n : counts) n = static_cast<std::int32_t>(below(300));
    for (std::size_t c = 0; c < low.size(); ++c) {
      constexpr std::int32_t least = std::numeric_limits<std::int32_t>::min(), most = std::numeric_limits<std::int32_t>::max();
      const auto cut = static_cast<std::int32_t>(below(300));
      const std::size_t kind = below(4);
      low[c] = kind == 0 ? least : kind == 3 ? most : cut;
      high[c] = kind == 1 ? most : kind == 3 ? least : cut + (kind == 2 ? 30 : 0);
      if (c >= channels) low[c] = low[c - channels], high[c] = high[c - channels];
      if (c < channels && below(3) == 0) counts[c] = cut;  // a tie with the threshold
    }
    const auto shift = static_cast<std::int32_t>(below(9));
    for (std::int32_t& n : counts) n -= shift;
    const Thresholds thresholds{low.data(), high.data(), repeat, shift};
    std::vector<std::uint32_t> expected(pixels * ((channels + 31) / 32)), got(expected.size(), ~0u);
    reference_table().count_bits(counts.data(), stride, pixels, channels, thresholds, expected.data());
    for_each_table([&](const KernelTable& table) {
      INFO(table.name << ": channels " << channels << ", repeat " << repeat << ", pixels " << pixels);
      table.count_bits(counts.data(), stride, pixels, channels, thresholds, got.data());
      REQUIRE(first_difference(got, expected) == expected.size());
    });
  }
}

KERNEL_CASE("attend and attend_bits", attend, attend_bits) {
  for (std::size_t channels = 1; channels <= 75; ++channels) {
    const std::size_t pixels = 1 + below(5), count = below(4), first = below(70);
    std::vector<std::vector<float>> values;
    std::vector<const float*> messages;
    for (std::size_t m = 0; m < count + 1; ++m) values.push_back(floats(pixels * channels, true));
    for (std::size_t m = 0; m < count; ++m) messages.push_back(values[m].data());
    const std::vector<std::uint32_t> gate = packed(pixels, channels), identity = packed(pixels, channels);
    for (int form = 0; form < 4; ++form) {
      AttentionRow row{messages.data(), count};
      if (form % 2 == 1) row.gate = gate.data();
      if (form / 2 == 1)
        row.identity = values[count].data();
      else
        row.identity_bits = identity.data();
      const std::size_t step = channels + below(3), words_each = (first + channels + 31) / 32;
      std::vector<float> expected(pixels * step, 7.0f);
      std::vector<std::uint32_t> expected_bits(pixels * words_each, 1u);
      reference_table().attend(row, pixels, channels, expected.data(), step);
      reference_table().attend_bits(row, pixels, channels, first, expected_bits.data(), words_each);
      for_each_table([&](const KernelTable& table) {
        INFO(table.name << ": channels " << channels << ", form " << form << ", messages " << count);
        std::vector<float> got(expected.size(), 7.0f);
        std::vector<std::uint32_t> got_bits(expected_bits.size(), 1u);
        table.attend(row, pixels, channels, got.data(), step);
        table.attend_bits(row, pixels, channels, first, got_bits.data(), words_each);
        REQUIRE(first_difference(got, expected) == expected.size());
        REQUIRE(first_difference(got_bits, expected_bits) == expected_bits.size());
      });
    }
  }
}

KERNEL_CASE("binarize, unpack and gate", binarize, unpack, gate) {
  for (std::size_t channels = 1; channels <= 75; ++channels) {
    const std::size_t pixels = 1 + below(channels % 5 == 3 ? 400 : 6), each = (channels + 31) / 32;
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

TEST_CASE("every kernel of bits has a case") {
  CHECK(compared_kernels() == std::set<std::string>{BIMTDP_BIT_KERNELS(KERNEL_NAME)});
}
