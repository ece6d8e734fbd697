// SPDX-License-Identifier: Apache-2.0
// Every float kernel of every table against the reference, bit for bit, on odd sizes and special values.
#include "kernel_cases.hpp"

using namespace cases;
using bimtdp::kernels::ActivationKind;
using bimtdp::kernels::Conv;
using bimtdp::kernels::reference_table;

namespace {

/// A convolution of random taps over a rectangle, the parts of its epilogue, and room for its output.
struct ConvCase {
  std::size_t channels, depth, taps, neighbours;  // taps of the window, and how many of them lie side by side
  std::size_t rows = 1 + below(3), pixels = below(below(4) == 0 ? 150 : 24), step = depth * (1 + below(3)), row_step = below(40);
  std::size_t out_step = channels + below(3), out_row_step = pixels * out_step + below(5);
  Window<float> window;
  std::vector<float> weights, bias, scale, residual;
  Epilogue epilogue;

  ConvCase(std::size_t channels_, std::size_t depth_, std::size_t taps_, std::size_t used, std::size_t neighbours_, bool special)
      : channels(channels_),
        depth(depth_),
        taps(taps_),
        neighbours(neighbours_),
        window(floats(rows * row_step + pixels * step + neighbours * depth + 9, special), rows * row_step + pixels * step + 1, 1,
               neighbours * depth, used, taps + 1 - neighbours),
        weights(floats(channels * taps * depth, special)),
        bias(floats(channels, special)),
        scale(floats(channels, special)),
        residual(floats(rows * out_row_step + channels, special)) {
    constexpr ActivationKind kinds[] = {ActivationKind::none, ActivationKind::relu6, ActivationKind::prelu};
    epilogue.activation = kinds[below(3)];
    epilogue.slope = scale.data();
    if (below(2) == 0) epilogue.bias = bias.data();
    if (below(2) == 0) epilogue.scale = scale.data(), epilogue.bias = bias.data();
    if (below(2) == 0) epilogue.alpha = bias.data();
    if (below(2) == 0) epilogue.residual = residual.data();
  }

  [[nodiscard]] Conv conv(const float* laid_out) const {
    return {
        window.taps.data(), window.taps.size(), neighbours * depth, taps, depth, laid_out, channels, pixels, step, out_step, rows,
        row_step,           out_row_step};
  }
  [[nodiscard]] std::string text() const {
    return "channels " + std::to_string(channels) + ", depth " + std::to_string(depth) + ", taps " +
           std::to_string(window.taps.size()) + " of " + std::to_string(taps) + ", neighbours " + std::to_string(neighbours) +
           ", pixels " + std::to_string(rows) + "x" + std::to_string(pixels) + " step " + std::to_string(step);
  }
};

/// run(table, out) on every table against the reference; what lies between the outputs stays as it is.
template <class Run>
void check_conv(const ConvCase& c, Run run) {
  std::vector<float> expected(c.rows * c.out_row_step + c.channels, -7.0f), got;
  run(reference_table(), expected.data());
  for_each_table([&](const KernelTable& table) {
    INFO(table.name << ": " << c.text());
    got.assign(expected.size(), -7.0f);
    run(table, got.data());
    REQUIRE(first_difference(got, expected) == expected.size());
  });
}

void check_dense(std::size_t channels, std::size_t depth, std::size_t taps, std::size_t used, std::size_t neighbours,
                 bool special) {
  const ConvCase c(channels, depth, taps, used, neighbours, special);
  check_conv(c, [&](const KernelTable& table, float* out) {
    table.conv2d(c.conv(lay_out(c.weights, channels, taps, depth, table.float_lanes).data()), c.epilogue, out);
  });
}

void check_depthwise(std::size_t channels, std::size_t taps, std::size_t used, std::size_t neighbours, bool special) {
  const ConvCase c(channels, channels, taps, used, neighbours, special);
  check_conv(c, [&](const KernelTable& table, float* out) { table.depthwise_conv2d(c.conv(c.weights.data()), c.epilogue, out); });
}

}  // namespace

KERNEL_CASE("conv2d", conv2d) {
  for (std::size_t channels = 1; channels <= 100; ++channels)
    check_dense(channels, 1 + below(5), 9, 9 - below(6), 1, channels % 4 == 0);
  for (int round = 0; round < 200; ++round) check_dense(1 + below(150), 1 + below(20), 9, below(4), 1 + below(3), round % 4 == 0);
  for (std::size_t used = 0; used <= 49; used += 1 + below(3)) check_dense(33, 1 + below(3), 49, used, 1, below(2) == 0);
  for (int round = 0; round < 40; ++round) check_dense(1 + below(70), 1 + below(3), 1, 1, 1, true);
  for (int round = 0; round < 100; ++round) check_dense(1 + below(3), 1 + below(20), 9, 9 - below(6), 1, round % 4 == 0);
}

KERNEL_CASE("depthwise_conv2d", depthwise_conv2d) {
  for (std::size_t channels = 1; channels <= 70; ++channels)
    for (std::size_t neighbours = 1; neighbours <= 6; ++neighbours)
      check_depthwise(channels, 25, below(6), neighbours, below(3) == 0);
  for (int round = 0; round < 100; ++round) check_depthwise(1 + below(300), 9, 3, 3, false);
}

KERNEL_CASE("max_pool and average_pool", max_pool, average_pool) {
  for (std::size_t depth = 1; depth <= 70; ++depth) {
    const std::size_t taps = 1 + below(25), used = 1 + below(taps), pixels = 1 + below(20), step = depth * (1 + below(2));
    const bool special = below(2) == 0;
    const Window<float> window(floats(pixels * step + depth + 9, special), pixels, step, depth, used, taps);
    const Depthwise<float> d{window.taps.data(), window.taps.size(), depth, step, pixels, nullptr};
    std::vector<float> largest(pixels * depth), mean(largest.size()), got(largest.size());
    reference_table().max_pool(d, largest.data());
    reference_table().average_pool(d, 7.0f, mean.data());
    for_each_table([&](const KernelTable& table) {
      INFO(table.name << ": channels " << depth << ", taps " << used << ", pixels " << pixels);
      table.max_pool(d, got.data());
      REQUIRE(first_difference(got, largest) == largest.size());
      table.average_pool(d, 7.0f, got.data());
      REQUIRE(first_difference(got, mean) == mean.size());
    });
  }
}

KERNEL_CASE("epilogue and dot_float: every step and activation", epilogue, dot_float) {
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

KERNEL_CASE("add and multiply, in place too; the epilogue in place", add, multiply, epilogue) {
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

KERNEL_CASE("resize_row, and the same in two passes", resize_row, resize_rows, resize_columns) {
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
      table.resize_row(top.data(), bottom.data(), 0.3f, left.data(), right.data(), fraction.data(), pixels, channels, channels,
                       out.data());
    });
    const std::vector<float> whole = expected;
    for_each_table([&](const KernelTable& table) {  // as part of wider pixels
      const std::size_t stride = channels + 1 + below(3);
      std::vector<float> wide(pixels * stride, 7.0f);
      table.resize_row(top.data(), bottom.data(), 0.3f, left.data(), right.data(), fraction.data(), pixels, channels, stride,
                       wide.data());
      for (std::size_t x = 0; x < pixels; ++x) {
        got.assign(wide.begin() + static_cast<std::ptrdiff_t>(x * stride),
                   wide.begin() + static_cast<std::ptrdiff_t>((x + 1) * stride));
        for (std::size_t c = channels; c < stride; ++c) REQUIRE(got[c] == 7.0f);
        got.resize(channels);
        const auto at = whole.begin() + static_cast<std::ptrdiff_t>(x * channels);
        REQUIRE(first_difference(got, std::vector<float>(at, at + static_cast<std::ptrdiff_t>(channels))) == channels);
      }
    });
    got.resize(expected.size());
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

KERNEL_CASE("sum_channels", sum_channels) {
  for (std::size_t channels = 1; channels <= 70; ++channels) {
    const std::size_t pixels = below(9), stride = channels + below(5);
    const std::vector<float> x = floats(pixels * stride, false);
    std::vector<double> expected(channels, 0.5), got;
    reference_table().sum_channels(x.data(), stride, pixels, channels, expected.data());
    for_each_table([&](const KernelTable& table) {
      INFO(table.name << ": channels " << channels << ", pixels " << pixels);
      got.assign(channels, 0.5);
      table.sum_channels(x.data(), stride, pixels, channels, got.data());
      REQUIRE(got == expected);
    });
  }
}

KERNEL_CASE("softmax", softmax) {
  for (std::size_t group = 1; group <= 70; ++group) {
    const std::size_t groups = group == 4 ? 67 : below(70);
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

TEST_CASE("every kernel of floats has a case") {
  CHECK(compared_kernels() == std::set<std::string>{BIMTDP_FLOAT_KERNELS(KERNEL_NAME)});
}
