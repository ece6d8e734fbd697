// SPDX-License-Identifier: Apache-2.0
// Four binary 3x3 convolutions in a row, from floats to floats through a Runner, on one thread and every tier.
//
// bn_sign: sign, convolution, batch normalisation, four times; bits stay bits between the layers.
// bi_real: sign, convolution, batch normalisation, + shortcut, RPReLU (ReActNet's layer); every layer needs the floats too.
#include "samples.hpp"

#include <bimtdp/bimtdp.hpp>

#include <benchmark/benchmark.h>

#include <random>
#include <string>
#include <vector>

namespace {

using namespace bimtdp;

struct Chain {
  std::size_t channels, height, width;
  bool bi_real;
  [[nodiscard]] std::string name() const {
    const auto text = [](std::size_t value) { return std::to_string(value); };
    return std::string(bi_real ? "bi_real/" : "bn_sign/") + text(channels) + "/" + text(height) + "x" + text(width);
  }
};

/// Makes the nodes of a chain with random weights.
class ChainBuilder {
 public:
  explicit ChainBuilder(std::size_t channels) : channels_(channels) {}

  Graph build(bool bi_real) {
    constexpr int layers = 4;
    NodeId x = g_.input(channels_);
    for (int layer = 0; layer < layers; ++layer) {
      const std::string name = "layer" + std::to_string(layer);
      BinaryConv2dNode conv = convolution();
      if (bi_real) {
        conv.activation = {kernels::ActivationKind::rprelu, per_channel(0.2f), per_channel(0.1f), per_channel(0.1f)};
        const NodeId bits = g_.add(name + ".sign", BinarizeNode{}, {x});
        x = g_.add(name, conv, {bits, x});
      } else {
        // A batch normalisation that only a sign reads is folded into thresholds: bits to bits.
        if (layer < layers - 1) conv.output = BinaryOutput::bits;
        if (layer == 0) x = g_.add("sign", BinarizeNode{}, {x});
        x = g_.add(name, conv, {x});
      }
    }
    g_.output({.task = "map", .node = x});
    return g_.build();
  }

 private:
  std::vector<float> random(std::size_t count, float spread) {
    std::vector<float> values(count);
    for (float& value : values) value = normal_(generator_) * spread;
    return values;
  }
  WeightName per_channel(float spread) { return g_.floats({channels_}, random(channels_, spread)); }
  BinaryConv2dNode convolution() {
    BinaryConv2dNode conv{.window = square_window(3)};
    conv.weight = g_.signs({channels_, 3, 3, channels_}, random(9 * channels_ * channels_, 1.0f));
    conv.scale = per_channel(0.05f), conv.bias = per_channel(1.0f);
    return conv;
  }

  std::size_t channels_;
  GraphBuilder g_;
  std::mt19937 generator_{1};
  std::normal_distribution<float> normal_;
};

void run_chain(benchmark::State& state, const kernels::KernelTable& table, const Chain& chain) {
  Runner runner(Model(ChainBuilder(chain.channels).build(chain.bi_real)), {.threads = 1, .kernels = &table});
  Tensor<float> input({chain.height, chain.width, chain.channels});
  std::mt19937 generator(2);
  std::normal_distribution<float> normal;
  for (float& value : input.span()) value = normal(generator);
  samples::measure(state, [&] { benchmark::DoNotOptimize(&runner.run(input)); });
}

}  // namespace

int main(int argc, char** argv) {
  static const std::vector<Chain> chains = [] {
    std::vector<Chain> all;
    for (const bool bi_real : {false, true})
      for (const auto& [channels, height, width] :
           {std::array<std::size_t, 3>{256, 56, 56}, {64, 56, 56}, {18, 120, 160}, {36, 60, 80}})
        all.push_back({channels, height, width, bi_real});
    return all;
  }();
  for (const kernels::KernelTable* table : kernels::tables())
    for (const Chain& chain : chains)
      benchmark::RegisterBenchmark((std::string("chain/") + table->name + "/" + chain.name()).c_str(),
                                   [table, &chain](benchmark::State& state) { run_chain(state, *table, chain); })
          ->Unit(benchmark::kMicrosecond);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
}
