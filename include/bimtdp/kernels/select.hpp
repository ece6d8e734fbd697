// SPDX-License-Identifier: Apache-2.0
// The kernel tables: the bodies compiled once per lane set, the tables that this CPU runs, and the one in use.
#pragma once

#include <bimtdp/kernels/exponential.hpp>
#include <bimtdp/kernels/reference.hpp>
#include <bimtdp/kernels/table.hpp>
#include <bimtdp/simd/isa.hpp>
#include <bimtdp/simd/lanes_avx2.hpp>
#include <bimtdp/simd/lanes_avx512.hpp>
#include <bimtdp/simd/lanes_baseline.hpp>
#include <bimtdp/simd/lanes_neon.hpp>
#include <bimtdp/simd/lanes_sse42.hpp>
#include <bimtdp/simd/one_long.hpp>
#include <bimtdp/simd/target.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

BIMTDP_EXACT_BEGIN
namespace bimtdp::kernels::inline BIMTDP_ABI::baseline {
using namespace simd::baseline;
#include <bimtdp/kernels/body/all.inl>
}  // namespace bimtdp::kernels::inline BIMTDP_ABI::baseline
#if defined(__aarch64__)
namespace bimtdp::kernels::inline BIMTDP_ABI::neon {
using namespace simd::neon;
#include <bimtdp/kernels/body/binary_gemm.inl>
}  // namespace bimtdp::kernels::inline BIMTDP_ABI::neon
#endif
BIMTDP_EXACT_END

#if defined(__x86_64__)
BIMTDP_TARGET_BEGIN(BIMTDP_FEATURES_SSE42)
namespace bimtdp::kernels::inline BIMTDP_ABI::sse42 {
using namespace simd::sse42;
#include <bimtdp/kernels/body/binary_popcnt.inl>
}  // namespace bimtdp::kernels::inline BIMTDP_ABI::sse42
BIMTDP_TARGET_END

BIMTDP_TARGET_BEGIN(BIMTDP_FEATURES_AVX2)
namespace bimtdp::kernels::inline BIMTDP_ABI::avx2 {
using namespace simd::avx2;
#include <bimtdp/kernels/body/all.inl>
}  // namespace bimtdp::kernels::inline BIMTDP_ABI::avx2
BIMTDP_TARGET_END

BIMTDP_TARGET_BEGIN(BIMTDP_FEATURES_AVX512)
namespace bimtdp::kernels::inline BIMTDP_ABI::avx512 {
using namespace simd::avx512;
#include <bimtdp/kernels/body/all.inl>
}  // namespace bimtdp::kernels::inline BIMTDP_ABI::avx512
BIMTDP_TARGET_END
#endif

namespace bimtdp::kernels::inline BIMTDP_ABI {

#define BIMTDP_TABLE(tier)                                                                                                 \
  KernelTable {                                                                                                            \
#tier, tier::Words::width, tier::TileShape::pair_words, tier::TileShape::splits, tier::Floats::width, tier::join_bits,     \
        tier::binary_gemm, tier::correct_counts, tier::binary_depthwise, tier::dot_integer, tier::dot_float,               \
        tier::count_bits, tier::binarize, tier::unpack, tier::attend, tier::attend_bits, tier::gate, tier::conv2d,         \
        tier::depthwise_conv2d, tier::epilogue, tier::add, tier::multiply, tier::sum_channels, tier::max_pool,             \
        tier::average_pool, tier::resize_rows, tier::resize_columns, tier::resize_row, tier::softmax                       \
  }

/// The table of a tier. Only the tiers of the compiler's architecture exist; the others give the baseline.
[[nodiscard]] inline const KernelTable& table_of(simd::Isa isa) noexcept {
  static constexpr KernelTable baseline_table = BIMTDP_TABLE(baseline);
#if defined(__x86_64__)
  static constexpr KernelTable avx512_table = BIMTDP_TABLE(avx512), avx2_table = BIMTDP_TABLE(avx2);
  static constexpr KernelTable sse42_table = [] {
    KernelTable table = baseline_table;  // its floats are the baseline's
    table.name = "sse42";
    table.binary_lanes = 1;
    table.pair_words = ~std::size_t{0};
    table.binary_splits = false;
    table.binary_gemm = sse42::binary_gemm;
    return table;
  }();
  if (isa == simd::Isa::avx512) return avx512_table;
  if (isa == simd::Isa::avx2) return avx2_table;
  if (isa == simd::Isa::sse42) return sse42_table;
#elif defined(__aarch64__)
  static constexpr KernelTable neon_table = [] {
    KernelTable table = baseline_table;
    table.name = "neon";
    table.binary_lanes = neon::Words::width;
    table.pair_words = neon::TileShape::pair_words;
    table.binary_splits = neon::TileShape::splits;
    table.binary_gemm = neon::binary_gemm;
    return table;
  }();
  if (isa == simd::Isa::neon) return neon_table;
#endif
  static_cast<void>(isa);
  return baseline_table;
}
#undef BIMTDP_TABLE

/// The tables this CPU runs, best first.
[[nodiscard]] inline std::span<const KernelTable* const> tables() noexcept {
  struct List {
    std::array<const KernelTable*, simd::all_isas.size()> table{};
    std::size_t count = 0;
  };
  static const List list = [] {
    List found;
    for (const simd::Isa isa : simd::all_isas)
      if (simd::runnable(isa)) found.table[found.count++] = &table_of(isa);
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
