// SPDX-License-Identifier: Apache-2.0
// The kernel tables that this CPU runs, and the one in use.
#pragma once

#include <bimtdp/kernels/reference.hpp>
#include <bimtdp/kernels/table.hpp>
#include <bimtdp/simd/target.hpp>
#include <bimtdp/simd/tier.hpp>

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

namespace bimtdp::kernels::inline BIMTDP_ABI {

/// The table of a tier. Only the tiers of the compiler's architecture exist; the others give the baseline.
/// Defined in tiers.hpp.
[[nodiscard]]
#if !defined(BIMTDP_SEPARATE_KERNELS)
inline
#endif
    const KernelTable&
    table_of(simd::Tier tier) noexcept;

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

/// The table called `name` ("reference" too), or null where this CPU does not run it.
[[nodiscard]] inline const KernelTable* find_table(std::string_view name) noexcept {
  for (const KernelTable* table : tables())
    if (name == table->name) return table;
  return name == reference_table().name ? &reference_table() : nullptr;
}

/// The table in use: the best one, or the one that BIMTDP_ISA names. Throws Error where that names none.
[[nodiscard]] inline const KernelTable& active() {
  static const KernelTable& table = table_of(simd::selected());
  return table;
}

}  // namespace bimtdp::kernels::inline BIMTDP_ABI

#if !defined(BIMTDP_SEPARATE_KERNELS)
#include <bimtdp/kernels/tiers.hpp>
#endif
