// SPDX-License-Identifier: Apache-2.0
#include "ops_testing.hpp"

#include <bimtdp/ops/binary_conv2d.hpp>
#include <bimtdp/simd/target.hpp>

#include <cmath>
#include <limits>
#include <utility>

using namespace bimtdp;
using namespace bimtdp::ops;
using testing::Random;
using Bits = BitTensor<std::uint32_t>;

namespace {

/// A layer with the data its parameter spans point to.
struct Layer {
  BinaryConv2dParameters p;
  std::vector<std::uint64_t> weights;
  std::vector<float> alpha, scale, bias, slope, shift_in, shift_out;
  Layer() = default;
  Layer(const Layer&) = delete;
};

void randomize(Layer& layer, Random& random, const Window& window, std::size_t groups, std::size_t in, std::size_t out) {
  layer.weights = random.weight_words(out, window.taps(), in / groups);
  layer.p = {window, groups, in, out, layer.weights, {}};
}

/// sum of +-1 products over the taps inside: the definition.
Tensor<std::int32_t> direct(const Bits& in, const BinaryConv2dParameters& p) {
  Tensor<std::int32_t> out(window_shape(in.shape(), p.window, p.out_channels, "test"));
  const std::size_t group_in = p.in_channels / p.groups, group_out = p.out_channels / p.groups,
                    words = words_for<std::uint64_t>(group_in);
  for (std::size_t y = 0; y < out.shape().height; ++y)
    for (std::size_t x = 0; x < out.shape().width; ++x)
      for (std::size_t o = 0; o < p.out_channels; ++o)
        testing::for_each_tap(in.shape(), p.window, y, x, [&](std::size_t ky, std::size_t kx, std::size_t row, std::size_t column) {
          const std::uint64_t* w = p.weights.data() + (o * p.window.taps() + ky * p.window.kernel[1] + kx) * words;
          for (std::size_t c = 0; c < group_in; ++c)
            out(y, x, o) += in(row, column, o / group_out * group_in + c) == ((w[c / 64] >> (c % 64) & 1U) != 0) ? 1 : -1;
        });
  return out;
}

BIMTDP_EXACT_BEGIN
float affine(float d, std::size_t c, const EpilogueParameters& e) {
  float y = d;
  if (!e.alpha.empty()) y = y * e.alpha[c];
  if (!e.scale.empty()) return std::fma(y, e.scale[c], e.bias[c]);
  if (!e.bias.empty()) y = y + e.bias[c];
  return y;
}

float activate(float y, std::size_t c, const ActivationParameters& a) {
  switch (a.kind) {
    case kernels::ActivationKind::relu:
      return y > 0 ? y : 0;
    case kernels::ActivationKind::hardtanh:
      return y < -1 ? -1 : y > 1 ? 1 : y;
    case kernels::ActivationKind::prelu:
      return y >= 0 ? y : a.slope[c] * y;
    case kernels::ActivationKind::rprelu: {
      const float t = y + a.shift_in[c];
      const float u = t >= 0 ? t : a.slope[c] * t;
      return u + a.shift_out[c];
    }
    default:
      return y;
  }
}
BIMTDP_EXACT_END

template <class Map>
void expect(const Map& expected, const Bits& in, const BinaryConv2dParameters& p, BinaryOutput output,
            const TensorView<const float>& residual = {}) {
  const auto make = [&](const kernels::KernelTable& table) { return BinaryConv2d(table, p, output); };
  const auto scratch = [&](const BinaryConv2d& conv) { return conv.scratch_bytes(in.shape()); };
  const auto run = [&](const BinaryConv2d& conv, const auto& out, const Workspace& workspace) {
    if constexpr (std::is_same_v<Map, Tensor<float>>)
      conv.run(in, out, workspace, residual);
    else
      conv.run(in, out, workspace);
  };
  const auto run_rows = [&](const BinaryConv2d& conv, std::size_t first, const auto& out, const Workspace& workspace) {
    if constexpr (std::is_same_v<Map, Tensor<float>>)
      conv.run_rows(in, first, out, workspace, residual.data ? residual.rows(first, out.shape.height) : residual);
    else
      conv.run_rows(in, first, out, workspace);
  };
  testing::expect_everywhere(expected, make, scratch, run);
  testing::expect_rows_everywhere(expected, make, scratch, run_rows);
}

/// Random affine parameters; about one scale in eight is 0, half of them are negative.
void add_affine(Layer& layer, Random& random) {
  const std::size_t out = layer.p.out_channels;
  if (random.coin()) layer.alpha = random.reals(out, 2.0F);
  if (random.coin()) {
    layer.scale = random.reals(out, 2.0F);
    for (float& s : layer.scale)
      if (random.in(0, 7) == 0) s = random.coin() ? 0.0F : -0.0F;
  }
  if (!layer.scale.empty() || random.coin()) {
    layer.bias = random.reals(out, 20.0F);
    for (float& b : layer.bias)
      if (random.in(0, 7) == 0) b = random.coin() ? 0.0F : -0.0F;
  }
  layer.p.epilogue = {layer.alpha, layer.scale, layer.bias, {}};
}

void add_activation(Layer& layer, Random& random) {
  using enum kernels::ActivationKind;
  constexpr kernels::ActivationKind kinds[] = {none, relu, hardtanh, prelu, rprelu};
  const std::size_t out = layer.p.out_channels;
  layer.p.epilogue.activation.kind = kinds[random.in(0, 4)];
  if (layer.p.epilogue.activation.kind == prelu || layer.p.epilogue.activation.kind == rprelu) layer.slope = random.reals(out);
  if (layer.p.epilogue.activation.kind == rprelu) layer.shift_in = random.reals(out), layer.shift_out = random.reals(out);
  layer.p.epilogue.activation = {layer.p.epilogue.activation.kind, layer.slope, layer.shift_in, layer.shift_out};
}

/// All three outputs of one layer against the definition.
void check_layer(Layer& layer, Random& random, const Shape& shape) {
  INFO("input " << shape << ", groups " << layer.p.groups << ", out " << layer.p.out_channels << ", "
                << testing::text(layer.p.window));
  const Bits in = random.bits(shape);
  const Tensor<std::int32_t> dots = direct(in, layer.p);
  expect(dots, in, layer.p, BinaryOutput::integer);

  add_affine(layer, random);
  Bits bits(dots.shape());
  Tensor<float> floats(dots.shape());
  const Tensor<float> residual = random.floats(dots.shape(), 5.0F);
  const bool with_residual = random.coin();
  const EpilogueParameters plain = layer.p.epilogue;
  const std::size_t channels = dots.shape().channels;
  for (std::size_t i = 0; i < dots.shape().elements(); ++i) {
    const float y = affine(static_cast<float>(dots.data()[i]), i % channels, plain);
    const std::size_t pixel = i / channels;
    bits.set(pixel / dots.shape().width, pixel % dots.shape().width, i % channels, y >= 0.0F);
    floats.data()[i] = with_residual ? y + residual.data()[i] : y;
  }
  expect(bits, in, layer.p, BinaryOutput::bits);

  add_activation(layer, random);
  for (std::size_t i = 0; i < dots.shape().elements(); ++i)
    floats.data()[i] = activate(floats.data()[i], i % channels, layer.p.epilogue.activation);
  expect(floats, in, layer.p, BinaryOutput::floats, with_residual ? residual.view() : TensorView<const float>{});
}

}  // namespace

TEST_CASE("binary_conv2d: random windows, one group, 1 to 130 channels") {
  Random random(1);
  for (int round = 0; round < 130; ++round) {
    const Shape shape{random.in(1, 9), random.in(1, 12), static_cast<std::size_t>(round) + 1};
    Layer layer;
    randomize(layer, random, random.window(shape), 1, shape.channels, random.in(1, 70));
    check_layer(layer, random, shape);
  }
}

TEST_CASE("binary_conv2d: groups") {
  Random random(2);
  for (int round = 0; round < 100; ++round) {
    const std::size_t groups = random.in(2, 9), in = groups * random.in(1, 40), out = groups * random.in(1, 12);
    const Shape shape{random.in(1, 7), random.in(1, 9), in};
    Layer layer;
    randomize(layer, random, random.window(shape), groups, in, out);
    check_layer(layer, random, shape);
  }
  for (const std::size_t group_in : {32U, 64U, 96U}) {  // groups that start at whole words
    Layer layer;
    randomize(layer, random, {{3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}}, 3, 3 * group_in, 15);
    check_layer(layer, random, {4, 6, 3 * group_in});
  }
}

TEST_CASE("binary_conv2d: depthwise") {
  Random random(3);
  for (std::size_t channels = 2; channels <= 130; channels += random.in(1, 3)) {
    const Shape shape{random.in(1, 9), random.in(1, 12), channels};
    Layer layer;
    randomize(layer, random, random.window(shape), channels, channels, channels);
    check_layer(layer, random, shape);
    if (channels < 20) {  // two filters a channel
      Layer twice;
      randomize(twice, random, random.window(shape), channels, channels, 2 * channels);
      check_layer(twice, random, shape);
    }
  }
}

TEST_CASE("binary_conv2d: dilation as large as the map and beyond") {
  Random random(4);
  for (const std::size_t dilation : {2U, 4U, 12U, 24U, 36U}) {
    for (const std::size_t size : {1U, 3U, 12U, 13U}) {
      Layer layer;
      randomize(layer, random, {{3, 3}, {1, 1}, {dilation, dilation}, {dilation, dilation, dilation, dilation}}, 1, 40, 9);
      check_layer(layer, random, {size, size + 1, 40});
    }
  }
}

TEST_CASE("binary_conv2d: rows longer than one piece") {
  Random random(5);
  for (const std::size_t channels : {3U, 18U, 144U}) {
    Layer layer;
    randomize(layer, random, {{3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}}, 1, channels, channels);
    check_layer(layer, random, {3, 301, channels});
  }
}

TEST_CASE("binary_conv2d: windows that see nothing give the bias") {
  Random random(6);
  Layer layer;
  randomize(layer, random, {{1, 1}, {1, 1}, {1, 1}, {2, 2, 2, 2}}, 1, 5, 4);
  check_layer(layer, random, {1, 1, 5});
}

TEST_CASE("binary_conv2d: the one-call functions") {
  Random random(7);
  Layer layer;
  randomize(layer, random, {{3, 3}, {2, 2}, {1, 1}, {1, 1, 1, 1}}, 1, 20, 6);
  const Bits in = random.bits({5, 6, 20});
  const Tensor<std::int32_t> dots = binary_conv2d_integer(in, layer.p);
  CHECK(testing::same(dots, direct(in, layer.p)));
  const Tensor<float> floats = binary_conv2d(in, layer.p);
  const Bits bits = binary_conv2d_bits(in, layer.p);
  CHECK(floats(2, 1, 3) == static_cast<float>(dots(2, 1, 3)));
  CHECK(bits(2, 1, 3) == (dots(2, 1, 3) >= 0));
}

TEST_CASE("binary_conv2d: errors name the op, what came and what was expected") {
  Random random(8);
  Layer layer;
  const Window window{{3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}};
  randomize(layer, random, window, 1, 20, 6);
  const auto& table = kernels::reference_table();
  const auto make = [&](auto change, BinaryOutput output = BinaryOutput::floats) {
    BinaryConv2dParameters p = layer.p;
    change(p);
    return BinaryConv2d(table, p, output);
  };
  const std::vector<float> six(6, 1.0F), five(5, 1.0F), infinite(6, std::numeric_limits<float>::infinity()), huge(6, 3e38F);
  CHECK_THROWS_AS(make([](auto& p) { p.groups = 3; }), Error);
  CHECK_THROWS_AS(make([](auto& p) { p.groups = 0; }), Error);
  CHECK_THROWS_AS(make([](auto& p) { p.in_channels = 0; }), Error);
  CHECK_THROWS_AS(make([](auto& p) { p.window.kernel = {0, 3}; }), Error);
  CHECK_THROWS_AS(make([](auto& p) { p.window.kernel = {std::size_t{1} << 40, 3}; }), Error);
  CHECK_THROWS_AS(make([](auto& p) { p.window.kernel = {max_extent, max_extent}; }), Error);
  CHECK_THROWS_AS(make([](auto& p) {
                    p.in_channels = p.out_channels = max_extent;
                    p.window.kernel = {max_extent, max_extent};
                  }),
                  Error);
  CHECK_THROWS_AS(make([](auto& p) { p.weights = p.weights.first(5); }), Error);
  CHECK_THROWS_AS(make([&](auto& p) { p.epilogue.alpha = five; }), Error);
  CHECK_THROWS_AS(make([&](auto& p) { p.epilogue.bias = infinite; }), Error);
  CHECK_THROWS_AS(make([&](auto& p) { p.epilogue.scale = six; }), Error);
  CHECK_THROWS_AS(make([&](auto& p) { p.epilogue.bias = six; }, BinaryOutput::integer), Error);
  CHECK_THROWS_AS(make([&](auto& p) { p.epilogue.alpha = huge; }, BinaryOutput::bits), Error);
  CHECK_THROWS_AS(make([](auto& p) { p.epilogue.activation.kind = kernels::ActivationKind::relu; }, BinaryOutput::bits), Error);
  std::vector<std::uint64_t> tail = layer.weights;
  tail[3] |= std::uint64_t{1} << 20;
  CHECK_THROWS_AS(make([&](auto& p) { p.weights = tail; }), Error);

  const BinaryConv2d conv(table, layer.p, BinaryOutput::floats);
  const Bits in = random.bits({4, 5, 20}), narrow = random.bits({4, 5, 19});
  Tensor<float> out({4, 5, 6}), wrong({4, 6, 6});
  AlignedVector<std::byte> scratch(conv.scratch_bytes(in.shape()));
  const Workspace workspace{&table, scratch};
  CHECK_NOTHROW(conv.run(in, out, workspace));
  CHECK_THROWS_AS(conv.run(narrow, out, workspace), Error);
  CHECK_THROWS_AS(conv.run(in, wrong, workspace), Error);
  CHECK_THROWS_AS(conv.run(in, out, workspace, wrong), Error);
  CHECK_THROWS_AS(conv.run(in, Bits({4, 5, 6}).view(), workspace), Error);
  CHECK_THROWS_AS(conv.run(in, out, {&table, std::span(scratch).first(scratch.size() - 64)}), Error);
  CHECK_THROWS_AS(conv.run(in, out, {nullptr, scratch}), Error);
  CHECK_THROWS_AS(conv.output_shape({0, 5, 20}), Error);
  CHECK_NOTHROW(conv.run_rows(in, 3, out.view().rows(0, 1), workspace));
  CHECK_THROWS_AS(conv.run_rows(in, 3, out.view().rows(0, 2), workspace), Error);
  CHECK_THROWS_AS(conv.run_rows(in, 0, wrong.view().rows(0, 1), workspace), Error);
  CHECK_THROWS_AS(conv.run_rows(in, 0, out.view().rows(0, 1), workspace, std::as_const(out).view()), Error);
  kernels::KernelTable other = table;
  CHECK_THROWS_AS(conv.run(in, out, {&other, scratch}), Error);
  try {
    conv.run(in, wrong, workspace);
  } catch (const Error& error) {
    CHECK(std::string(error.what()) == "binary_conv2d: output shape (got 4x6x6, expected 4x5x6)");
  }
}
