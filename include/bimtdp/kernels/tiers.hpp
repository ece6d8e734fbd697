// SPDX-License-Identifier: Apache-2.0
// The kernels of every tier: the bodies compiled once per lane set, and their tables. Half of the compile time lies here: where
// BIMTDP_COMPILED is defined for all units of a program (core/inline.hpp), exactly one of them includes this header. All have the
// same -m flags, or the linker does not find it.
#pragma once

#include <bimtdp/kernels/exponential.hpp>
#include <bimtdp/kernels/table.hpp>
#include <bimtdp/kernels/table_of.hpp>
#include <bimtdp/simd/one_long.hpp>
#include <bimtdp/simd/tier.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#define BIMTDP_TIER_BODY <bimtdp/kernels/body/tier.inl>
#include <bimtdp/simd/regions.inl>

namespace bimtdp::kernels::inline BIMTDP_ABI {

const KernelTable& table_of(simd::Tier tier) noexcept {
  switch (tier) {
#define BIMTDP_CASE(tier) \
  case simd::Tier::tier:  \
    return tier::table;
    BIMTDP_TIERS(BIMTDP_CASE)
#undef BIMTDP_CASE
    default:
      return baseline::table;
  }
}

}  // namespace bimtdp::kernels::inline BIMTDP_ABI
