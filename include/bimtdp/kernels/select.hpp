// SPDX-License-Identifier: Apache-2.0
// The kernel tables that this CPU runs, and the one in use.
#pragma once

#include <bimtdp/kernels/reference.hpp>
#include <bimtdp/kernels/table.hpp>
#include <bimtdp/kernels/table_of.hpp>
#include <bimtdp/simd/target.hpp>
#include <bimtdp/simd/tier.hpp>
#if !defined(BIMTDP_COMPILED)
#include <bimtdp/kernels/tiers.hpp>
#endif

#include <array>
#include <cstddef>
#include <span>

namespace bimtdp::kernels::inline BIMTDP_ABI {

/// The tables this CPU runs, best first.
[[nodiscard]] inline std::span<const KernelTable* const> tables() noexcept {
  struct List {
    std::array<const KernelTable*, simd::all_tiers.size()> table{};
    std::size_t count = 0;
  };
  static const List list = [] {
    List found;
    for (const simd::Tier tier : simd::all_tiers)
      if (simd::runnable(tier)) found.table[found.count++] = &table_of(tier);
    return found;
  }();
  return {list.table.data(), list.count};
}

/// The table in use: the best one, or the one that BIMTDP_ISA names. Throws Error where that names none.
[[nodiscard]] inline const KernelTable& active() {
  static const KernelTable& table = table_of(simd::selected());
  return table;
}

}  // namespace bimtdp::kernels::inline BIMTDP_ABI
