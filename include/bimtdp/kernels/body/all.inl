// SPDX-License-Identifier: Apache-2.0
// Every body that a full lane set compiles; later ones use earlier ones.
// clang-format off
#include <bimtdp/kernels/body/lanes.inl>
#include <bimtdp/kernels/body/binary_gemm.inl>
#include <bimtdp/kernels/body/join_bits.inl>
#include <bimtdp/kernels/body/depthwise.inl>
#include <bimtdp/kernels/body/bits.inl>
#include <bimtdp/kernels/body/exponential.inl>
#include <bimtdp/kernels/body/epilogue.inl>
#include <bimtdp/kernels/body/float_conv.inl>
#include <bimtdp/kernels/body/float_depthwise.inl>
#include <bimtdp/kernels/body/elementwise.inl>
#include <bimtdp/kernels/body/softmax.inl>
// clang-format on
