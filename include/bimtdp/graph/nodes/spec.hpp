// SPDX-License-Identifier: Apache-2.0
// What the fields of nodes are made of. Weights are referred to by their name in the graph's Weights; an empty name means "absent".
#pragma once

#include <bimtdp/kernels/table.hpp>

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace bimtdp {

/// Position of a node in its graph. Nodes refer to earlier nodes only.
using NodeId = std::size_t;
using WeightName = std::string;

/// The most inputs a node has.
inline constexpr std::size_t max_inputs = 64;

/// The values of an enum and their names in the model file.
template <class Enum, std::size_t Count>
using Names = std::array<std::pair<std::string_view, Enum>, Count>;

/// An activation and its per-channel parameters: slope for prelu and rprelu, the shifts for rprelu only.
struct ActivationSpec {
  kernels::ActivationKind kind = kernels::ActivationKind::none;
  WeightName slope{}, shift_in{}, shift_out{};
};

inline constexpr Names<kernels::ActivationKind, 6> activation_names{{{"relu", kernels::ActivationKind::relu},
                                                                     {"relu6", kernels::ActivationKind::relu6},
                                                                     {"hardtanh", kernels::ActivationKind::hardtanh},
                                                                     {"sigmoid", kernels::ActivationKind::sigmoid},
                                                                     {"prelu", kernels::ActivationKind::prelu},
                                                                     {"rprelu", kernels::ActivationKind::rprelu}}};

/// One binary convolution inside an attention and the affine map after it.
struct AttentionConvSpec {
  WeightName weight{}, alpha{}, scale{}, bias{};
};

}  // namespace bimtdp
