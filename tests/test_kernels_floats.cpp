// SPDX-License-Identifier: Apache-2.0
// Every float kernel of every table against the reference, bit for bit, on odd sizes and special values.
#include "kernel_cases.hpp"

using namespace cases;
using bimtdp::kernels::ActivationKind;
using bimtdp::kernels::reference_table;

namespace {

std::vector<float> float_gemm(const KernelTable& table, const Window<float>& window, const std::vector<float>& weights,
                              std::size_t channels, std::size_t taps, std::size_t depth, std::size_t step, std::size_t pixels) {
  const AlignedVector<float> laid = lay_out(weights, channels, taps, depth, table.float_lanes);
  const std::size_t blocks = (channels + table.float_lanes - 1) / table.float_lanes, stride = blocks * table.float_lanes;
  std::vector<float> raw(pixels * stride, -7.0f), sums;
  table.float_gemm({window.taps.data(), window.taps.size(), taps, depth, step, pixels, laid.data(), blocks}, raw.data());
  for (std::size_t p = 0; p < pixels; ++p)
    for (std::size_t c = 0; c < channels; ++c) sums.push_back(raw[p * stride + c]);
  return sums;
}

void check_gemm(std::size_t channels, std::size_t taps, std::size_t used, std::size_t depth, std::size_t pixels, bool special) {
  const std::size_t step = depth * (1 + below(2)) + below(2);
  const Window<float> window(floats(pixels * step + depth + 9, special), pixels, step, depth, used, taps);
  const std::vector<float> weights = floats(channels * taps * depth, special);
  const std::vector<float> expected = float_gemm(reference_table(), window, weights, channels, taps, depth, step, pixels);
  for_each_table([&](const KernelTable& table) {
    INFO(table.name << ": channels " << channels << ", taps " << used << " of " << taps << ", depth " << depth << ", pixels "
                    << pixels);
    REQUIRE(first_difference(float_gemm(table, window, weights, channels, taps, depth, step, pixels), expected) == expected.size());
  });
}

Depthwise<float> depthwise(const Window<float>& window, std::size_t depth, std::size_t step, std::size_t pixels,
                           const float* weights) {
  return {window.taps.data(), window.taps.size(), depth, step, pixels, weights};
}

}  // namespace

TEST_CASE("float_gemm") {
  for (std::size_t channels = 1; channels <= 70; ++channels)
    check_gemm(channels, 9, 9 - below(6), 1 + below(5), 1 + below(40), false);
  for (std::size_t pixels = 0; pixels <= 40; ++pixels) check_gemm(1 + below(150), 9, below(10), 1 + below(20), pixels, false);
  for (std::size_t used = 0; used <= 49; used += 1 + below(3)) check_gemm(33, 49, used, 1 + below(3), 5, below(2) == 0);
  for (int round = 0; round < 40; ++round) check_gemm(1 + below(70), 1, 1, 1 + below(3), 1 + below(20), true);
}

TEST_CASE("float_depthwise, max_pool and average_pool") {
  for (std::size_t depth = 1; depth <= 70; ++depth) {
    const std::size_t taps = 1 + below(25), used = 1 + below(taps), pixels = 1 + below(20), step = depth * (1 + below(2));
    const bool special = below(2) == 0;
    const Window<float> window(floats(pixels * step + depth + 9, special), pixels, step, depth, used, taps);
    const std::vector<float> weights = floats(taps * depth, special);
    const Depthwise<float> d = depthwise(window, depth, step, pixels, weights.data());
    std::vector<float> sums(pixels * depth), largest(sums.size()), mean(sums.size()), got(sums.size());
    reference_table().float_depthwise(d, sums.data());
    reference_table().max_pool(d, largest.data());
    reference_table().average_pool(d, 7.0f, mean.data());
    for_each_table([&](const KernelTable& table) {
      INFO(table.name << ": channels " << depth << ", taps " << used << ", pixels " << pixels);
      table.float_depthwise(d, got.data());
      REQUIRE(first_difference(got, sums) == sums.size());
      table.max_pool(d, got.data());
      REQUIRE(first_difference(got, largest) == sums.size());
      table.average_pool(d, 7.0f, got.data());
      REQUIRE(first_difference(got, mean) == sums.size());
    });
  }
}

TEST_CASE("epilogue and dot_float: every step and activation") {
  const ActivationKind kinds[] = {ActivationKind::none,    ActivationKind::relu,  ActivationKind::relu6, ActivationKind::hardtanh,
                                  ActivationKind::sigmoid, ActivationKind::prelu, ActivationKind::rprelu};
  for (const ActivationKind kind : kinds)
    for (int form = 0; form < 24; ++form) {
      const std::size_t channels = 1 + below(70), pixels = 1 + below(6), stride = channels + below(9);
      std::vector<std::vector<float>> p;
      for (int i = 0; i < 6; ++i) p.push_back(floats(channels, below(2) == 0));
      const std::vector<float> x = floats((pixels - 1) * stride + channels, true), residual = floats(pixels * channels, true);
      std::vector<std::int32_t> counts(x.size());
      for (std::int32_t& n : counts) n = static_cast<std::int32_t>(below(200));
      Epilogue e;
      if (form & 1) e.alpha = p[0].data();
      if (form >= 16) e.scale = p[1].data();
      if (form >= 8) e.bias = p[2].data();
      if (form & 2) e.residual = residual.data();
      e.activation = kind;
      e.slope = p[3].data(), e.shift_in = p[4].data(), e.shift_out = p[5].data();
      std::vector<float> expected(pixels * channels), expected_dot(expected.size()), got(expected.size());
      reference_table().epilogue(x.data(), stride, pixels, channels, e, expected.data());
      reference_table().dot_float(counts.data(), stride, 99, pixels, channels, e, expected_dot.data());
      for_each_table([&](const KernelTable& table) {
        INFO(table.name << ": activation " << static_cast<int>(kind) << ", form " << form << ", channels " << channels);
        table.epilogue(x.data(), stride, pixels, channels, e, got.data());
        REQUIRE(first_difference(got, expected) == expected.size());
        table.dot_float(counts.data(), stride, 99, pixels, channels, e, got.data());
        REQUIRE(first_difference(got, expected_dot) == expected.size());
      });
    }
}

TEST_CASE("add and multiply, in place too; the epilogue in place") {
  for (std::size_t count = 0; count <= 70; ++count) {
    const std::vector<float> a = floats(count, true), b = floats(count, true);
    std::vector<float> sum(count), product(count), relu(count);
    Epilogue e;
    e.activation = ActivationKind::relu;
    reference_table().add(a.data(), b.data(), count, sum.data());
    reference_table().multiply(a.data(), b.data(), count, product.data());
    reference_table().epilogue(a.data(), count, 1, count, e, relu.data());
    for_each_table([&](const KernelTable& table) {
      INFO(table.name << ": count " << count);
      std::vector<float> left = a, right = b, once = a;
      table.add(left.data(), b.data(), count, left.data());
      REQUIRE(first_difference(left, sum) == count);
      table.multiply(a.data(), right.data(), count, right.data());
      REQUIRE(first_difference(right, product) == count);
      table.epilogue(once.data(), count, 1, count, e, once.data());
      REQUIRE(first_difference(once, relu) == count);
    });
  }
}

TEST_CASE("resize_row, and the same in two passes") {
  for (std::size_t channels = 1; channels <= 70; ++channels) {
    const std::size_t width = 1 + below(9), pixels = 1 + below(40);
    const std::vector<float> top = floats(width * channels, below(2) == 0), bottom = floats(width * channels, below(2) == 0);
    std::vector<std::uint32_t> left(pixels), right(pixels);
    std::vector<float> fraction(pixels), expected(pixels * channels), got(expected.size());
    for (std::size_t x = 0; x < pixels; ++x) {
      left[x] = static_cast<std::uint32_t>(below(width));
      right[x] = static_cast<std::uint32_t>(below(width));
      fraction[x] = static_cast<float>(below(1000)) / 999.0f;
    }
    const auto compare = [&](const auto& run) {
      run(reference_table(), expected);
      for_each_table([&](const KernelTable& table) {
        INFO(table.name << ": channels " << channels << ", pixels " << pixels);
        run(table, got);
        REQUIRE(first_difference(got, expected) == expected.size());
      });
    };
    compare([&](const KernelTable& table, std::vector<float>& out) {
      table.resize_row(top.data(), bottom.data(), 0.3f, left.data(), right.data(), fraction.data(), pixels, channels, out.data());
    });
    const std::vector<float> whole = expected;
    AlignedVector<float> t(expected.size()), u(expected.size()), aligned(expected.size());
    compare([&](const KernelTable& table, std::vector<float>& out) {
      table.resize_columns(top.data(), left.data(), right.data(), fraction.data(), pixels, channels, t.data());
      table.resize_columns(bottom.data(), left.data(), right.data(), fraction.data(), pixels, channels, u.data());
      table.resize_rows(t.data(), u.data(), 0.3f, t.size(), channels % 2 == 0, aligned.data());
      std::copy(aligned.begin(), aligned.end(), out.begin());
    });
    REQUIRE(first_difference(expected, whole) == whole.size());
  }
}

TEST_CASE("softmax") {
  for (std::size_t group = 1; group <= 70; ++group) {
    const std::size_t groups = below(70);
    const std::vector<float> x = floats(groups * group, below(2) == 0);
    std::vector<float> expected(x.size()), got(x.size());
    reference_table().softmax(x.data(), groups, group, expected.data());
    for_each_table([&](const KernelTable& table) {
      INFO(table.name << ": " << groups << " groups of " << group);
      table.softmax(x.data(), groups, group, got.data());
      REQUIRE(first_difference(got, expected) == expected.size());
    });
  }
}
