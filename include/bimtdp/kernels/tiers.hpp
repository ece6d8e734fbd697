// SPDX-License-Identifier: Apache-2.0
// The kernels of every tier: the bodies compiled once per lane set, and their tables. Most of the compile time lies here:
// where BIMTDP_SEPARATE_KERNELS is defined for all units of a program, exactly one of them includes this header, and the
// others compile without it (CMake: link bimtdp::kernels). All have the same -m flags, or the linker does not find it.
#pragma once

#include <bimtdp/kernels/exponential.hpp>
#include <bimtdp/kernels/select.hpp>
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

const KernelTable& table_of(simd::Isa isa) noexcept {
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

}  // namespace bimtdp::kernels::inline BIMTDP_ABI
