// SPDX-License-Identifier: Apache-2.0
// The table of a tier: what its lanes lay down, and every kernel by name.

inline constexpr KernelTable table{.name = simd::name(simd::Tier::BIMTDP_TIER),
                                   .binary_lanes = simd::BIMTDP_TIER::Words::width,
                                   .pair_words = simd::BIMTDP_TIER::TileShape::pair_words,
                                   .binary_splits = simd::BIMTDP_TIER::TileShape::splits,
                                   .float_lanes = simd::BIMTDP_TIER::Floats::width,
#define BIMTDP_ENTRY(kernel) .kernel = kernel,
                                   BIMTDP_KERNELS(BIMTDP_ENTRY)
#undef BIMTDP_ENTRY
};
// The constants of table.hpp hold for it.
static_assert(most_lanes % table.binary_lanes == 0 && most_lanes % table.float_lanes == 0);
#if BIMTDP_LANES != BIMTDP_NO_LANES
static_assert(whole_tiles(simd::BIMTDP_TIER::TileShape::single_pixels) && whole_tiles(simd::BIMTDP_TIER::TileShape::pair_pixels) &&
              whole_tiles(simd::BIMTDP_TIER::TileShape::quad_pixels));
#endif
