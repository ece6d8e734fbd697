// SPDX-License-Identifier: Apache-2.0
// Peak rates of a tier, measured in this process: xor + popcount + add of 32-bit words, and fused multiply-adds.
#pragma once

#include <bimtdp/kernels/select.hpp>
#include <bimtdp/simd/lanes_avx2.hpp>
#include <bimtdp/simd/lanes_avx512.hpp>
#include <bimtdp/simd/lanes_baseline.hpp>
#include <bimtdp/simd/lanes_neon.hpp>
#include <bimtdp/simd/lanes_sse42.hpp>
#include <bimtdp/simd/target.hpp>

#include <benchmark/benchmark.h>

#include <algorithm>
#include <string_view>

#include <time.h>

#if defined(__x86_64__)
#define BIMTDP_VECTOR_REGISTER(r) "+x"(r)
#else
#define BIMTDP_VECTOR_REGISTER(r) "+w"(r)
#endif

BIMTDP_EXACT_BEGIN
namespace peak::baseline {
using namespace bimtdp::simd::baseline;
#include "peak.inl"
#include "peak_floats.inl"
}  // namespace peak::baseline
#if defined(__aarch64__)
namespace peak::neon {
using namespace bimtdp::simd::neon;
#include "peak.inl"
}  // namespace peak::neon
#endif
BIMTDP_EXACT_END

#if defined(__x86_64__)
BIMTDP_TARGET_BEGIN(BIMTDP_FEATURES_SSE42)
namespace peak::sse42 {
/// Popcounts in the integer registers, two words each.
inline double binary_rounds(std::size_t rounds) {
  std::uint64_t sum[4] = {}, x[2] = {rounds * 3, rounds * 5}, w[2] = {rounds * 7, rounds * 11};
  for (std::size_t r = 0; r < rounds; ++r) {
    BIMTDP_UNROLL
    for (std::size_t i = 0; i < 4; ++i) sum[i] += bimtdp::simd::sse42::popcount(x[i % 2] ^ w[i / 2]);
    asm volatile("" : "+r"(x[0]), "+r"(x[1]), "+r"(w[0]), "+r"(w[1]));
  }
  benchmark::DoNotOptimize(sum[0] + sum[1] + sum[2] + sum[3]);
  return static_cast<double>(rounds) * 8.0;
}
}  // namespace peak::sse42
BIMTDP_TARGET_END
BIMTDP_TARGET_BEGIN(BIMTDP_FEATURES_AVX2)
namespace peak::avx2 {
using namespace bimtdp::simd::avx2;
#include "peak.inl"
#include "peak_floats.inl"
}  // namespace peak::avx2
BIMTDP_TARGET_END
#undef BIMTDP_VECTOR_REGISTER
#define BIMTDP_VECTOR_REGISTER(r) "+v"(r)
BIMTDP_TARGET_BEGIN(BIMTDP_FEATURES_AVX512)
namespace peak::avx512 {
using namespace bimtdp::simd::avx512;
#include "peak.inl"
#include "peak_floats.inl"
}  // namespace peak::avx512
BIMTDP_TARGET_END
#endif

namespace peak {

using Rounds = double (*)(std::size_t);

inline Rounds binary_loop([[maybe_unused]] std::string_view tier) {
#if defined(__x86_64__)
  if (tier == "avx512") return avx512::binary_rounds;
  if (tier == "avx2") return avx2::binary_rounds;
  if (tier == "sse42") return sse42::binary_rounds;
#elif defined(__aarch64__)
  if (tier == "neon") return neon::binary_rounds;
#endif
  return baseline::binary_rounds;
}

inline Rounds float_loop([[maybe_unused]] std::string_view tier) {
#if defined(__x86_64__)
  if (tier == "avx512") return avx512::float_rounds;
  if (tier == "avx2") return avx2::float_rounds;
#endif
  return baseline::float_rounds;
}

/// Processor time of this thread in seconds: what other programs take away does not count.
inline double now() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

/// The best of a few short runs, operations a second.
inline double rate(Rounds loop) {
  double best = 0.0;
  for (int run = 0; run < 40; ++run) {
    const double start = now();
    const double operations = loop(20000);
    best = std::max(best, operations / (now() - start));
  }
  return best;
}

}  // namespace peak
