// SPDX-License-Identifier: Apache-2.0
// One layer at a time, on every tier that this CPU runs, one thread.
//
// `best_us` is the processor time of the fastest single run. `share_of_peak` compares that run's useful work (taps inside the
// image, real channels) with a loop of the same tier that stays in registers: xor + popcount + add for bits, fused multiply-adds
// for floats. `share_of_copy` compares the bytes that a memory-bound operation reads and writes with a copy of as many bytes.
#include "peak.hpp"

#include <bimtdp/ops/binarize.hpp>
#include <bimtdp/ops/binary_attention.hpp>
#include <bimtdp/ops/binary_conv2d.hpp>
#include <bimtdp/ops/conv2d.hpp>
#include <bimtdp/ops/resize.hpp>
#include <bimtdp/ops/softmax.hpp>

#include <benchmark/benchmark.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

namespace {

using namespace bimtdp;
using kernels::KernelTable;

struct Layer {
  std::size_t kernel, in, out, height, width, stride = 1, dilation = 1, groups = 1;
  [[nodiscard]] Window window() const {
    const std::size_t p = kernel / 2 * dilation;
    return {{kernel, kernel}, {stride, stride}, {dilation, dilation}, {p, p, p, p}};
  }
  [[nodiscard]] std::string name() const {
    const auto pair = [](std::size_t a, std::size_t b) { return std::to_string(a) + "x" + std::to_string(b); };
    std::string text = pair(kernel, kernel) + "/" + pair(in, out) + "/" + pair(height, width);
    if (stride > 1) text += "/stride" + std::to_string(stride);
    if (dilation > 1) text += "/dilation" + std::to_string(dilation);
    if (groups > 1) text += groups == in ? "/depthwise" : "/groups" + std::to_string(groups);
    return text;
  }
  /// Multiply-adds of taps inside the image.
  [[nodiscard]] double work() const {
    const ops::WindowStretches runs({height, width, in}, window(), "layer");
    const auto inside = [](const ops::WindowAxis& axis) {
      std::size_t count = 0;
      for (std::size_t o = 0; o < axis.output; ++o)
        for (std::size_t k = 0; k < axis.kernel; ++k) count += axis.inside(o, k);
      return static_cast<double>(count);
    };
    return inside(runs.rows()) * inside(runs.columns()) * static_cast<double>(in / groups * out);
  }
};

template <class T>
T random_values(std::size_t count, float spread = 1.0f) {
  std::mt19937 generator(1);
  std::normal_distribution<float> normal(0.0f, spread);
  T values(count);
  for (auto& v : values) v = normal(generator);
  return values;
}

Tensor<float> random_map(const Shape& shape) {
  Tensor<float> map(shape);
  const auto values = random_values<std::vector<float>>(shape.elements());
  std::copy(values.begin(), values.end(), map.data());
  return map;
}

/// Runs the benchmark loop and returns the seconds of the fastest run.
template <class Run>
double fastest(benchmark::State& state, Run run) {
  double best = 1e9;
  for (auto _ : state) {
    const double start = peak::now();
    run();
    benchmark::ClobberMemory();
    best = std::min(best, peak::now() - start);
  }
  state.counters["best_us"] = best * 1e6;
  return best;
}

void report_copy(benchmark::State& state, double best, std::size_t bytes) {
  std::vector<char> from(bytes / 2, 'a'), to(bytes / 2);
  double copy = 1e9;
  for (int i = 0; i < 50; ++i) {
    const double start = peak::now();
    std::memcpy(to.data(), from.data(), to.size());
    benchmark::DoNotOptimize(to.data());
    benchmark::ClobberMemory();
    copy = std::min(copy, peak::now() - start);
  }
  state.counters["share_of_copy"] = copy / best;
}

/// floats: batch normalisation; block: that, a residual and RPReLU, as between the layers of a Bi-Real network; bits: its sign.
enum class To { floats, block, bits };

/// Random weight bits of `filters` filters of `taps` taps.
std::vector<std::uint64_t> random_bits(std::size_t filters, std::size_t taps, std::size_t channels) {
  std::mt19937_64 generator(1);
  const std::size_t words = words_for<std::uint64_t>(channels), used = channels % 64;
  std::vector<std::uint64_t> bits(filters * taps * words);
  for (std::size_t i = 0; i < bits.size(); ++i)
    bits[i] = generator() & (used && i % words == words - 1 ? low_bits<std::uint64_t>(used) : ~0ull);
  return bits;
}

void binary_conv2d(benchmark::State& state, const KernelTable& table, const Layer& layer, To to) {
  const auto weights = random_bits(layer.out, layer.kernel * layer.kernel, layer.in / layer.groups);
  const auto scale = random_values<std::vector<float>>(layer.out), bias = random_values<std::vector<float>>(layer.out);
  ops::BinaryConv2dParameters parameters{layer.window(), layer.groups, layer.in, layer.out, weights, {}};
  parameters.epilogue.scale = scale;
  parameters.epilogue.bias = bias;
  if (to == To::block) parameters.epilogue.activation = {kernels::ActivationKind::rprelu, scale, bias, bias};
  const ops::BinaryConv2d conv(table, parameters, to == To::bits ? ops::BinaryOutput::bits : ops::BinaryOutput::floats);
  const BitTensor<std::uint32_t> in = pack<std::uint32_t>(random_map({layer.height, layer.width, layer.in}).view());
  const Shape shape = conv.output_shape(in.shape());
  const ops::OwnWorkspace workspace(table, conv.scratch_bytes(in.shape()));
  Tensor<float> floats(to != To::bits ? shape : Shape{});
  const Tensor<float> residual = random_map(to == To::block ? shape : Shape{});
  BitTensor<std::uint32_t> bits(to == To::bits ? shape : Shape{});
  double peak = peak::rate(peak::loops(table.name).binary);
  const double best = fastest(state, [&] {
    if (to == To::bits) return conv.run(in, bits.view(), workspace);
    conv.run(in, floats.view(), workspace, to == To::block ? residual.view() : TensorView<const float>{});
  });
  peak = std::max(peak, peak::rate(peak::loops(table.name).binary));
  state.counters["share_of_peak"] = layer.work() / 32.0 / best / peak;
}

/// Four tasks, each gated by itself and with the messages of the others.
void binary_attention(benchmark::State& state, const KernelTable& table, const Shape& shape) {
  const auto weights = random_bits(shape.channels, 9, shape.channels);
  const auto scale = random_values<std::vector<float>>(shape.channels);
  const std::vector<std::size_t> targets = {0, 1, 2, 3};
  const std::vector<ops::AttentionConv> convs(4, {weights, {}, scale, scale});
  const Layer layer{3, shape.channels, shape.channels, shape.height, shape.width};
  ops::BinaryAttentionParameters parameters{shape.channels, 4, targets};
  parameters.window = layer.window(), parameters.gates = convs, parameters.messages = convs;
  const ops::BinaryAttention attention(table, parameters);
  const BitTensor<std::uint32_t> in = pack<std::uint32_t>(random_map(shape).view());
  const std::vector<BitView<const std::uint32_t>> sources(4, in);
  BitTensor<std::uint32_t> out(attention.output_shape(shape));
  const ops::OwnWorkspace workspace(table, attention.scratch_bytes(shape));
  double peak = peak::rate(peak::loops(table.name).binary);
  const double best = fastest(state, [&] { attention.run(sources, {}, out.view(), workspace); });
  peak = std::max(peak, peak::rate(peak::loops(table.name).binary));
  state.counters["share_of_peak"] = 8.0 * layer.work() / 32.0 / best / peak;
}

void conv2d(benchmark::State& state, const KernelTable& table, const Layer& layer) {
  const auto weights = random_values<std::vector<float>>(layer.out * layer.kernel * layer.kernel * layer.in / layer.groups, 0.05f);
  const auto bias = random_values<std::vector<float>>(layer.out);
  ops::Conv2dParameters parameters{layer.window(), layer.groups, layer.in, layer.out, weights, {}};
  parameters.epilogue.bias = bias;
  const ops::Conv2d conv(table, parameters);
  const Tensor<float> in = random_map({layer.height, layer.width, layer.in});
  Tensor<float> out(conv.output_shape(in.shape()));
  const ops::OwnWorkspace workspace(table, conv.scratch_bytes(in.shape()));
  double peak = peak::rate(peak::loops(table.name).floats);
  const double best = fastest(state, [&] { conv.run(in, out, workspace); });
  peak = std::max(peak, peak::rate(peak::loops(table.name).floats));
  state.counters["share_of_peak"] = layer.work() / best / peak;
}

void binarize(benchmark::State& state, const KernelTable& table, const Shape& shape) {
  const Tensor<float> in = random_map(shape);
  const auto shift = random_values<std::vector<float>>(shape.channels);
  const ops::Binarize op({shape.channels, {}, shift});
  BitTensor<std::uint32_t> out(shape);
  const ops::OwnWorkspace workspace(table);
  report_copy(state, fastest(state, [&] { op.run(in, out.view(), workspace); }), shape.elements() * 4 + out.span().size_bytes());
}

void resize(benchmark::State& state, const KernelTable& table, const Shape& shape, std::size_t factor) {
  const Tensor<float> in = random_map(shape);
  const ops::ResizeBilinear op;
  Tensor<float> out(op.output_shape(shape, shape.height * factor, shape.width * factor));
  const ops::OwnWorkspace workspace(table, op.scratch_bytes(shape, out.shape().height, out.shape().width));
  report_copy(state, fastest(state, [&] { op.run(in, out, workspace); }), (shape.elements() + out.shape().elements()) * 4);
}

void softmax(benchmark::State& state, const KernelTable& table, const Shape& shape, std::size_t group) {
  const Tensor<float> in = random_map(shape);
  Tensor<float> out(shape);
  const ops::OwnWorkspace workspace(table);
  report_copy(state, fastest(state, [&] { ops::Softmax(group).run(in, out, workspace); }), shape.elements() * 8);
}

void epilogue(benchmark::State& state, const KernelTable& table, const Shape& shape) {
  const Tensor<float> in = random_map(shape), residual = random_map(shape);
  const auto scale = random_values<std::vector<float>>(shape.channels), bias = random_values<std::vector<float>>(shape.channels);
  Tensor<float> out(shape);
  kernels::Epilogue e;
  e.scale = scale.data(), e.bias = bias.data(), e.slope = bias.data(), e.residual = residual.data();
  e.activation = kernels::ActivationKind::prelu;
  const auto run = [&] { table.epilogue(in.data(), shape.channels, shape.pixels(), shape.channels, e, out.data()); };
  report_copy(state, fastest(state, run), shape.elements() * 12);
}

const std::vector<Layer> binary_layers = {{3, 256, 256, 56, 56},
                                          {3, 64, 64, 56, 56},
                                          {3, 128, 128, 56, 56},
                                          {1, 256, 256, 56, 56},
                                          {3, 18, 18, 120, 160},
                                          {3, 36, 36, 60, 80},
                                          {3, 72, 72, 30, 40},
                                          {3, 144, 144, 15, 20},
                                          {3, 256, 256, 56, 56, 2},
                                          {3, 64, 64, 56, 56, 2},
                                          {3, 18, 18, 120, 160, 2},
                                          {3, 256, 256, 56, 56, 1, 2},
                                          {3, 256, 256, 56, 56, 1, 4},
                                          {3, 256, 256, 56, 56, 1, 12},
                                          {3, 256, 256, 56, 56, 1, 24},
                                          {3, 256, 256, 56, 56, 1, 36},
                                          {5, 64, 64, 56, 56},
                                          {7, 64, 64, 56, 56},
                                          {5, 256, 256, 56, 56},
                                          {7, 256, 256, 28, 28},
                                          {3, 512, 512, 28, 28},
                                          {1, 270, 270, 120, 160},
                                          {3, 54, 18, 120, 160},
                                          {3, 256, 256, 56, 56, 1, 1, 2},
                                          {3, 256, 256, 56, 56, 1, 1, 4},
                                          {3, 256, 256, 56, 56, 1, 1, 8},
                                          {3, 256, 256, 56, 56, 1, 1, 256}};
const std::vector<Layer> float_layers = {
    {3, 3, 64, 240, 320, 2},         {3, 64, 64, 56, 56},    {3, 18, 18, 120, 160}, {1, 256, 256, 30, 40},
    {1, 270, 270, 120, 160},         {1, 270, 40, 120, 160}, {1, 96, 24, 120, 160}, {3, 96, 96, 120, 160, 1, 1, 96},
    {5, 144, 144, 60, 80, 1, 1, 144}};

void register_all() {
  const auto text = [](const Shape& s) {
    return std::to_string(s.height) + "x" + std::to_string(s.width) + "x" + std::to_string(s.channels);
  };
  for (const KernelTable* table : kernels::tables()) {
    const KernelTable& t = *table;
    const auto add = [&](const std::string& family, const std::string& rest, auto run) {
      benchmark::RegisterBenchmark((family + "/" + t.name + "/" + rest).c_str(), run)->Unit(benchmark::kMicrosecond);
    };
    for (const Layer& layer : binary_layers) {
      add("binary_conv2d", layer.name(), [&t, &layer](benchmark::State& s) { binary_conv2d(s, t, layer, To::floats); });
      add("binary_conv2d_bits", layer.name(), [&t, &layer](benchmark::State& s) { binary_conv2d(s, t, layer, To::bits); });
      add("binary_block", layer.name(), [&t, &layer](benchmark::State& s) { binary_conv2d(s, t, layer, To::block); });
    }
    for (const Shape shape : {Shape{120, 160, 18}, Shape{60, 80, 36}})
      add("binary_attention", text(shape) + "/4", [&t, shape](benchmark::State& s) { binary_attention(s, t, shape); });
    for (const Layer& layer : float_layers) add("conv2d", layer.name(), [&t, &layer](benchmark::State& s) { conv2d(s, t, layer); });
    for (const Shape shape : {Shape{56, 56, 256}, Shape{120, 160, 18}}) {
      add("binarize", text(shape), [&t, shape](benchmark::State& s) { binarize(s, t, shape); });
      add("epilogue", text(shape), [&t, shape](benchmark::State& s) { epilogue(s, t, shape); });
    }
    for (const Shape shape : {Shape{60, 80, 144}, Shape{120, 160, 3}})
      add("resize_bilinear", text(shape) + "/x4", [&t, shape](benchmark::State& s) { resize(s, t, shape, 4); });
    add("softmax", "60x80x144/4", [&t](benchmark::State& s) { softmax(s, t, {60, 80, 144}, 4); });
    add("softmax", "120x160x40/40", [&t](benchmark::State& s) { softmax(s, t, {120, 160, 40}, 40); });
  }
}

}  // namespace

int main(int argc, char** argv) {
  register_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
}
