// SPDX-License-Identifier: Apache-2.0
// Peak rates of a tier, measured in this process: xor + popcount + add of 32-bit words, and fused multiply-adds.
#pragma once

#include <bimtdp/simd/tier.hpp>

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <time.h>

#if defined(__x86_64__)
#define BIMTDP_VECTOR_REGISTER(r) "+v"(r)
#else
#define BIMTDP_VECTOR_REGISTER(r) "+w"(r)
#endif

#define BIMTDP_TIER_BODY <peak.inl>
#include <bimtdp/simd/regions.inl>

namespace peak {

using Rounds = double (*)(std::size_t);
struct Loops {
  Rounds binary, floats;
};

/// The loops of the tier called `name`.
inline Loops loops(std::string_view name) {
#define BIMTDP_LOOPS(tier) \
  if (name == #tier) return {tier::binary_rounds, tier::float_rounds};
  BIMTDP_TIERS(BIMTDP_LOOPS)
#undef BIMTDP_LOOPS
  return {};
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
