// SPDX-License-Identifier: Apache-2.0
// Binary convolutions on every tier of a 64-bit Arm CPU against the reference kernels; without Catch2, so that it can be
// cross-compiled and run under qemu.
#include <bimtdp/ops/binary_conv2d.hpp>

#include <algorithm>
#include <cstdio>
#include <random>
#include <vector>

namespace {

using namespace bimtdp;

struct Layer {
  std::size_t kernel, in, out, groups, dilation;
};

/// Random words whose tail bits are 0, so many words a pixel.
template <class Word>
void fill(std::span<Word> words, std::size_t channels, std::mt19937_64& generator) {
  const std::size_t each = words_for<Word>(channels), used = channels % word_bits<Word>;
  for (std::size_t i = 0; i < words.size(); ++i) {
    words[i] = static_cast<Word>(generator());
    if (used != 0 && i % each == each - 1) words[i] &= low_bits<Word>(used);
  }
}

bool agrees(const Layer& layer, const kernels::KernelTable& table) {
  std::mt19937_64 generator(layer.in);
  const std::size_t padding = layer.kernel / 2 * layer.dilation, group = layer.in / layer.groups;
  std::vector<std::uint64_t> weights(layer.out * layer.kernel * layer.kernel * words_for<std::uint64_t>(group));
  fill<std::uint64_t>(weights, group, generator);
  const std::vector<float> scale(layer.out, 0.5f), bias(layer.out, 0.1f);
  ops::BinaryConv2dParameters p;
  p.window = {{layer.kernel, layer.kernel}, {1, 1}, {layer.dilation, layer.dilation}, {padding, padding, padding, padding}};
  p.groups = layer.groups, p.in_channels = layer.in, p.out_channels = layer.out, p.weights = weights;
  p.epilogue.scale = scale, p.epilogue.bias = bias;
  BitTensor<std::uint32_t> x(Shape{9, 13, layer.in});
  fill<std::uint32_t>(x.span(), layer.in, generator);
  const auto& reference = kernels::reference_table();
  return std::ranges::equal(ops::binary_conv2d(x.view(), p, table).span(), ops::binary_conv2d(x.view(), p, reference).span()) &&
         std::ranges::equal(ops::binary_conv2d_bits(x.view(), p, table).span(),
                            ops::binary_conv2d_bits(x.view(), p, reference).span());
}

}  // namespace

int main() {
  int wrong = 0;
  for (const kernels::KernelTable* table : kernels::tables()) {
    for (const Layer& layer : {Layer{3, 18, 18, 1, 1}, Layer{3, 64, 40, 1, 1}, Layer{1, 130, 20, 1, 1}, Layer{3, 256, 32, 1, 1},
                               Layer{5, 33, 7, 1, 1}, Layer{3, 40, 40, 40, 1}, Layer{3, 64, 64, 4, 2}})
      if (!agrees(layer, *table))
        ++wrong,
            std::printf("%s: %zux%zu, %zu to %zu channels differ\n", table->name, layer.kernel, layer.kernel, layer.in, layer.out);
    std::printf("%s compared\n", table->name);
  }
  return wrong != 0;
}
