// SPDX-License-Identifier: Apache-2.0
// The kernel tables that this CPU runs, and the one in use.
#pragma once

#include <bimtdp/kernels/reference.hpp>
#include <bimtdp/kernels/table.hpp>
#include <bimtdp/simd/isa.hpp>
#include <bimtdp/simd/target.hpp>

#include <cstddef>
#include <span>
#include <string_view>

namespace bimtdp::kernels::inline BIMTDP_ABI {

/// The tables this CPU runs, best first.
[[nodiscard]] inline std::span<const KernelTable* const> tables() noexcept {
  static const KernelTable* const all[] = {&reference_table()};
  return all;
}

/// The table called `name` ("reference" too), or null where this CPU does not run it.
[[nodiscard]] inline const KernelTable* find_table(std::string_view name) noexcept {
  for (const KernelTable* table : tables())
    if (name == table->name) return table;
  return name == reference_table().name ? &reference_table() : nullptr;
}

/// The table in use: the best one, or the one that BIMTDP_ISA names. Throws Error where that names none.
[[nodiscard]] inline const KernelTable& active() {
  static const KernelTable& table = []() -> const KernelTable& {
    const KernelTable* found = find_table(simd::name(simd::selected()));
    return found ? *found : *tables().back();
  }();
  return table;
}

}  // namespace bimtdp::kernels::inline BIMTDP_ABI
