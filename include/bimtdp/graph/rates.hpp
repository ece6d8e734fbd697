// SPDX-License-Identifier: Apache-2.0
// The rates of this machine, measured with the kernels themselves on data that stays in the L1 cache, and a copy in the L2 cache.
#pragma once

#include <bimtdp/core/aligned.hpp>
#include <bimtdp/graph/cost.hpp>
#include <bimtdp/kernels/table.hpp>

#include <algorithm>
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
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  return best;
}

/// One long tap of `depth` values over `pixels` pixels and two blocks: operations a second.
template <class T, class Sum>
[[nodiscard]] double gemm_rate(void (*gemm)(const kernels::Gemm<T>&, Sum*) noexcept, std::size_t lanes, std::size_t depth) {
  constexpr std::size_t pixels = 56, blocks = 2;
  const AlignedVector<T> x(pixels * depth), weights(blocks * depth * lanes);
  AlignedVector<Sum> sums(pixels * blocks * lanes);
  const kernels::Tap<T> tap{x.data(), 0};
  const kernels::Gemm<T> problem{&tap, 1, 1, depth, depth, pixels, weights.data(), blocks};
  return static_cast<double>(pixels * blocks * lanes * depth) / shortest([&] { gemm(problem, sums.data()); });
}

}  // namespace detail

/// Takes about a millisecond of one thread. On a busy machine the rates come out low.
[[nodiscard]] inline Rates measure_rates(const kernels::KernelTable& table) {
  constexpr std::size_t copied = std::size_t{1} << 18;
  const AlignedVector<std::byte> from(copied);
  AlignedVector<std::byte> to(copied);
  return {.words = detail::gemm_rate(table.binary_gemm, table.binary_lanes, 96),
          .macs = detail::gemm_rate(table.float_gemm, table.float_lanes, 96),
          .bytes = 2.0 * static_cast<double>(copied) / detail::shortest([&] { std::memcpy(to.data(), from.data(), copied); })};
}

}  // namespace bimtdp
