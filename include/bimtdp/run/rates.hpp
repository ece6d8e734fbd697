// SPDX-License-Identifier: Apache-2.0
// The rates of this machine, measured with the kernels themselves on data that stays in the L1 cache, and a copy in the L2 cache.
#pragma once

#include <bimtdp/core/aligned.hpp>
#include <bimtdp/graph/cost.hpp>
#include <bimtdp/kernels/table.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace bimtdp {

namespace detail {

/// The shortest of a few runs, in seconds.
template <class Work>
[[nodiscard]] double shortest(Work&& work) {
  double best = 1e9;
  for (int i = 0; i < 30; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    work();
    best = (std::min)(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  return best;
}

/// One long tap of 96 channels over 56 pixels and two blocks: multiply-adds a second.
[[nodiscard]] inline double float_rate(const kernels::KernelTable& table) {
  constexpr std::size_t pixels = 56, blocks = 2, depth = 96;
  const std::size_t lanes = table.float_lanes;
  const AlignedVector<float> x(pixels * depth), weights(blocks * depth * lanes);
  AlignedVector<float> sums(pixels * blocks * lanes);
  const kernels::Tap<float> tap{x.data(), 0};
  const kernels::Conv problem{.taps = &tap,
                              .tap_count = 1,
                              .length = depth,
                              .kernel_taps = 1,
                              .depth = depth,
                              .weights = weights.data(),
                              .channels = blocks * lanes,
                              .pixels = pixels,
                              .pixel_step = depth,
                              .out_step = blocks * lanes,
                              .rows = 1};
  return static_cast<double>(pixels * blocks * lanes * depth) / shortest([&] { table.conv2d(problem, {}, sums.data()); });
}

/// Filters of 48 64-bit words over 56 pixels and two blocks: 32-bit words a second.
[[nodiscard]] inline double binary_rate(const kernels::KernelTable& table) {
  constexpr std::size_t pixels = 56, blocks = 2, words = 48;
  const std::size_t lanes = table.binary_lanes, channels = blocks * lanes;
  const AlignedVector<std::uint32_t> x(words * pixels * 2), weights(channels * words * 2);
  AlignedVector<std::int32_t> sums(pixels * channels);
  std::array<kernels::PackedWord, words> list{};
  for (std::size_t i = 0; i < words; ++i) list[i] = {x.data() + i * pixels * 2, i};
  const kernels::BinaryGemm problem{list.data(), words, words, weights.data(), blocks, pixels, 1, channels, channels};
  return static_cast<double>(pixels * channels * words * 2) / shortest([&] { table.binary_gemm(problem, sums.data()); });
}

}  // namespace detail

/// Takes about a millisecond of one thread. On a busy machine the rates come out low.
[[nodiscard]] inline Rates measure_rates(const kernels::KernelTable& table) {
  constexpr std::size_t copied = std::size_t{1} << 18;
  const AlignedVector<std::byte> from(copied);
  AlignedVector<std::byte> to(copied);
  return {.words = detail::binary_rate(table),
          .macs = detail::float_rate(table),
          .bytes = 2.0 * static_cast<double>(copied) / detail::shortest([&] { std::memcpy(to.data(), from.data(), copied); })};
}

}  // namespace bimtdp
