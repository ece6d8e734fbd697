// SPDX-License-Identifier: Apache-2.0
// The reference kernels against direct formulas, written independently in +-1 arithmetic and double.
#include "kernel_cases.hpp"

using namespace cases;
using bimtdp::kernels::ActivationKind;
using bimtdp::kernels::Conv;
using bimtdp::kernels::reference_table;
using bimtdp::kernels::Thresholds;
using bimtdp::kernels::reference::exponential;

namespace {

float value(const std::uint32_t* bits, std::size_t c) { return (bits[c / 32] >> (c % 32)) % 2 == 1 ? 1.0f : -1.0f; }

float activated(ActivationKind kind, float y, float slope = 0.25f, float in = 0.5f, float out = 2.0f) {
  Epilogue e;
  e.activation = kind;
  e.slope = &slope, e.shift_in = &in, e.shift_out = &out;
  float result = 0.0f;
  reference_table().epilogue(&y, 1, 1, 1, e, &result);
  return result;
}

bool is_positive_zero(float x) { return std::bit_cast<std::uint32_t>(x) == 0; }

}  // namespace

TEST_CASE("valid - 2*count is the dot product of +-1 values") {
  constexpr std::size_t channels = 50, rows = 3, pixels = 4, outputs = 5;  // 50 channels: one word, the filter has one a row
  const std::vector<std::uint32_t> x = packed(pixels * rows, channels), w = packed(outputs * rows, channels);
  std::vector<PackedWord> list;
  for (std::size_t r = 0; r < rows; ++r) list.push_back({x.data() + r * pixels * 2, r});
  std::vector<std::int32_t> counts(pixels * outputs), dots(counts.size());
  reference_table().binary_gemm({list.data(), rows, rows, w.data(), outputs, pixels, 1, outputs, outputs}, counts.data());
  reference_table().dot_integer(counts.data(), outputs, rows * channels, pixels, outputs, dots.data());
  for (std::size_t p = 0; p < pixels; ++p)
    for (std::size_t o = 0; o < outputs; ++o) {
      float dot = 0.0f;
      for (std::size_t r = 0; r < rows; ++r)
        for (std::size_t c = 0; c < channels; ++c) dot += value(&x[(r * pixels + p) * 2], c) * value(&w[(o * rows + r) * 2], c);
      CHECK(static_cast<float>(dots[p * outputs + o]) == dot);
    }
}

TEST_CASE("depthwise counts belong to one channel each") {
  const std::vector<std::uint32_t> x = words(4), w = words(3);
  const Tap<std::uint32_t> taps[] = {{x.data(), 0}, {x.data() + 1, 2}};
  std::vector<std::int32_t> counts(64);
  reference_table().binary_depthwise({taps, 2, 1, 2, 2, w.data()}, counts.data());
  for (std::size_t p = 0; p < 2; ++p)
    for (std::size_t c = 0; c < 32; ++c) {
      const float dot = value(&x[2 * p], c) * value(&w[0], c) + value(&x[2 * p + 1], c) * value(&w[2], c);
      CHECK(static_cast<float>(2 - 2 * counts[p * 32 + c]) == dot);
    }
}

TEST_CASE("signs: both zeros give 1, NaN gives 0; unpack and gate") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> x = {
      0.0f, -0.0f, nan, 1.0f, -1.0f, std::numeric_limits<float>::denorm_min(), -std::numeric_limits<float>::denorm_min()};
  std::uint32_t bits = ~0u;
  reference_table().binarize(x.data(), 1, 7, nullptr, nullptr, &bits);
  CHECK(bits == 0b0101011u);
  std::vector<float> out(7), gated = x;
  reference_table().unpack(&bits, 1, 7, out.data());
  CHECK(out == std::vector<float>{1, 1, -1, 1, -1, 1, -1});
  reference_table().gate(&bits, 1, 7, gated.data());
  CHECK(is_positive_zero(gated[2]));
  CHECK(is_positive_zero(gated[4]));
  CHECK(gated[3] == 1.0f);
}

TEST_CASE("binarize fuses scale and shift: a tie that two roundings would lose") {
  const float x = 1.0f + 0x1p-12f, scale = 1.0f - 0x1p-12f, shift = -1.0f;  // exact value -2^-24
  std::uint32_t bits = 9;
  reference_table().binarize(&x, 1, 1, &scale, &shift, &bits);
  CHECK(bits == 0u);
  reference_table().binarize(&x, 1, 1, nullptr, &shift, &bits);
  CHECK(bits == 1u);
}

TEST_CASE("thresholds are a closed interval") {
  const std::int32_t counts[] = {0, 1, 2, 3, 4}, low[] = {0, 2, 2, 2, 2}, high[] = {8, 6, 1, 4, 3};
  std::uint32_t bits = 0;
  reference_table().count_bits(counts, 5, 1, 5, Thresholds{low, high}, &bits);
  CHECK(bits == 0b01001u);
  reference_table().count_bits(counts, 5, 1, 5, Thresholds{low, high, 1, 1}, &bits);
  CHECK(bits == 0b01011u);
}

TEST_CASE("activations") {
  const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
  CHECK(is_positive_zero(activated(ActivationKind::relu, -0.0f)));
  CHECK(is_positive_zero(activated(ActivationKind::relu, nan)));
  CHECK(activated(ActivationKind::relu, 7.0f) == 7.0f);
  CHECK(activated(ActivationKind::relu6, 7.0f) == 6.0f);
  CHECK(activated(ActivationKind::hardtanh, -3.0f) == -1.0f);
  CHECK(activated(ActivationKind::hardtanh, 3.0f) == 1.0f);
  CHECK(activated(ActivationKind::hardtanh, 0.3f) == 0.3f);
  CHECK(std::isnan(activated(ActivationKind::hardtanh, nan)));
  CHECK(activated(ActivationKind::prelu, -4.0f) == -1.0f);
  CHECK(activated(ActivationKind::prelu, 4.0f) == 4.0f);
  CHECK(activated(ActivationKind::rprelu, -1.0f) == 1.875f);  // t = -0.5
  CHECK(activated(ActivationKind::rprelu, 1.0f) == 3.5f);
  CHECK(activated(ActivationKind::sigmoid, infinity) == 1.0f);
  CHECK(activated(ActivationKind::sigmoid, 200.0f) == 1.0f);
  CHECK(is_positive_zero(activated(ActivationKind::sigmoid, -infinity)));
  CHECK(is_positive_zero(activated(ActivationKind::sigmoid, -200.0f)));
  CHECK(activated(ActivationKind::sigmoid, 0.0f) == 0.5f);
  CHECK(std::isnan(activated(ActivationKind::sigmoid, nan)));
}

TEST_CASE("the epilogue's steps come in order") {
  const float x = 3.0f, alpha = 0.5f, scale = 4.0f, bias = 1.0f, residual = -9.0f, slope = 0.5f;
  Epilogue e{&alpha, &scale, &bias, &residual, ActivationKind::prelu, &slope, nullptr, nullptr};
  float out = 0.0f;
  reference_table().epilogue(&x, 1, 1, 1, e, &out);
  CHECK(out == -1.0f);  // 1.5*4 + 1 - 9 = -2, times 0.5
  const std::int32_t count = 2;
  reference_table().dot_float(&count, 1, 7, 1, 1, e, &out);  // dot = 3
  CHECK(out == -1.0f);
}

TEST_CASE("float sums are chains of std::fma in order") {
  const std::vector<float> x = floats(40, false), w = floats(18, false);
  const Tap<float> taps[] = {{x.data() + 7, 0}, {x.data() + 1, 2}};
  float sum = 0.0f, expected = 0.0f;
  Conv conv{.taps = taps,
            .tap_count = 2,
            .length = 6,
            .kernel_taps = 3,
            .depth = 6,
            .weights = w.data(),
            .channels = 1,
            .pixels = 1,
            .rows = 1};
  reference_table().conv2d(conv, {}, &sum);
  for (std::size_t k = 0; k < 6; ++k) expected = std::fma(x[7 + k], w[k], expected);
  for (std::size_t k = 0; k < 6; ++k) expected = std::fma(x[1 + k], w[12 + k], expected);
  CHECK(same(sum, expected));
  std::vector<float> sums(6);
  conv.channels = 6;
  reference_table().depthwise_conv2d(conv, {}, sums.data());
  for (std::size_t c = 0; c < 6; ++c) CHECK(same(sums[c], std::fma(x[1 + c], w[12 + c], x[7 + c] * w[c])));
}

TEST_CASE("pools") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float x[] = {1.0f, 5.0f, -2.0f, nan};
  const auto run = [&](std::vector<std::size_t> which) {
    std::vector<Tap<float>> taps;
    for (const std::size_t i : which) taps.push_back({x + i, 0});
    float out = 0.0f;
    reference_table().max_pool({taps.data(), taps.size(), 1, 1, 1, nullptr}, &out);
    return out;
  };
  CHECK(run({0, 1, 2}) == 5.0f);
  CHECK(std::isnan(run({0, 3, 1})));
  CHECK(std::isnan(run({3, 1})));
  const Tap<float> taps[] = {{x, 0}, {x + 1, 1}};
  float mean = 0.0f;
  reference_table().average_pool({taps, 2, 1, 1, 1, nullptr}, 4.0f, &mean);
  CHECK(mean == 1.5f);
}

TEST_CASE("a bilinear row") {
  const float top[] = {0.0f, 10.0f, 4.0f, 20.0f}, bottom[] = {8.0f, 10.0f, 8.0f, 40.0f};  // two pixels of two channels
  const std::uint32_t left[] = {0}, right[] = {1};
  const float fraction[] = {0.25f};
  float out[2];
  reference_table().resize_row(top, bottom, 0.5f, left, right, fraction, 1, 2, 2, out);
  CHECK(out[0] == 4.5f);   // between 1 and 8
  CHECK(out[1] == 15.0f);  // between 12.5 and 17.5
}

TEST_CASE("softmax sums to one and keeps NaN; infinities follow the formula") {
  std::vector<float> x = floats(5 * 8, false), out(x.size());
  reference_table().softmax(x.data(), 8, 5, out.data());
  for (std::size_t g = 0; g < 8; ++g) {
    double total = 0.0, sum = 0.0;
    for (std::size_t i = 0; i < 5; ++i)
      sum += std::exp(static_cast<double>(x[g * 5 + i])), total += static_cast<double>(out[g * 5 + i]);
    CHECK(total == Approx(1.0).epsilon(1e-6));
    for (std::size_t i = 0; i < 5; ++i)
      CHECK(static_cast<double>(out[g * 5 + i]) == Approx(std::exp(static_cast<double>(x[g * 5 + i])) / sum).epsilon(1e-6));
  }
  x[2] = std::numeric_limits<float>::quiet_NaN();
  x[5] = -std::numeric_limits<float>::infinity();
  reference_table().softmax(x.data(), 2, 5, out.data());
  for (std::size_t i = 0; i < 5; ++i) CHECK(std::isnan(out[i]));
  CHECK(is_positive_zero(out[5]));
}

TEST_CASE("exp: relative error at most 2e-7, right limits") {
  double worst = 0.0;
  for (double x = -87.3; x < 88.72; x += 0.00037) {
    const auto single = static_cast<float>(x);
    const double truth = std::exp(static_cast<double>(single));
    worst = std::max(worst, std::abs(static_cast<double>(exponential(single)) - truth) / truth);
  }
  CHECK(worst <= 2e-7);
  const float infinity = std::numeric_limits<float>::infinity();
  CHECK(exponential(0.0f) == 1.0f);
  CHECK(is_positive_zero(exponential(-infinity)));
  CHECK(is_positive_zero(exponential(-105.0f)));
  CHECK(exponential(infinity) == infinity);
  CHECK(exponential(89.5f) == infinity);
  CHECK(std::isnan(exponential(std::numeric_limits<float>::quiet_NaN())));
  for (float x = -103.9f; x < -87.3f; x += 0.01f)  // subnormal results: one last place
    CHECK(std::abs(static_cast<double>(exponential(x)) - std::exp(static_cast<double>(x))) <= 0x1p-149);
}
