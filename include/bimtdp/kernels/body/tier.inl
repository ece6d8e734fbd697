// SPDX-License-Identifier: Apache-2.0
// The kernels and the table of one tier (simd/regions.inl). Later bodies use earlier ones.
// clang-format off
#if BIMTDP_LANES == BIMTDP_ALL_LANES
namespace bimtdp::kernels::inline BIMTDP_ABI::BIMTDP_TIER {
using namespace simd::BIMTDP_TIER;
#include <bimtdp/kernels/body/lanes.inl>
#include <bimtdp/kernels/body/bits.inl>
#include <bimtdp/kernels/body/row_packing.inl>
#include <bimtdp/kernels/body/binary_gemm.inl>
#include <bimtdp/kernels/body/binary_depthwise.inl>
#include <bimtdp/kernels/body/exponential.inl>
#include <bimtdp/kernels/body/epilogue.inl>
#include <bimtdp/kernels/body/binary_counts.inl>
#include <bimtdp/kernels/body/binarize.inl>
#include <bimtdp/kernels/body/binary_attention.inl>
#include <bimtdp/kernels/body/float_conv.inl>
#include <bimtdp/kernels/body/float_depthwise.inl>
#include <bimtdp/kernels/body/pool.inl>
#include <bimtdp/kernels/body/elementwise.inl>
#include <bimtdp/kernels/body/resize.inl>
#include <bimtdp/kernels/body/softmax.inl>
#include <bimtdp/kernels/body/table.inl>
}
#else
// It counts bits in its own way and takes the other kernels from the baseline.
namespace bimtdp::kernels::inline BIMTDP_ABI::own::BIMTDP_TIER {
using namespace simd::BIMTDP_TIER;
#if BIMTDP_LANES == BIMTDP_WORD_LANES
#include <bimtdp/kernels/body/binary_gemm.inl>
#else
#include <bimtdp/kernels/body/binary_popcnt.inl>
#endif
}
namespace bimtdp::kernels::inline BIMTDP_ABI::BIMTDP_TIER {
using namespace baseline;
using own::BIMTDP_TIER::binary_gemm;
#include <bimtdp/kernels/body/table.inl>
}
#endif
// clang-format on
