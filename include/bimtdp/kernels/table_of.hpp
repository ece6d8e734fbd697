// SPDX-License-Identifier: Apache-2.0
// The kernel table of a tier, declared: who calls it, and who defines it.
#pragma once

#include <bimtdp/core/inline.hpp>
#include <bimtdp/kernels/table.hpp>
#include <bimtdp/simd/target.hpp>
#include <bimtdp/simd/tier.hpp>

namespace bimtdp::kernels::inline BIMTDP_ABI {

/// The table of a tier. Only the tiers of the compiler's architecture exist; the others give the baseline.
/// Defined in tiers.hpp.
[[nodiscard]] BIMTDP_INLINE const KernelTable& table_of(simd::Tier tier) noexcept;

}  // namespace bimtdp::kernels::inline BIMTDP_ABI
