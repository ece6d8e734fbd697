// SPDX-License-Identifier: Apache-2.0
// Activation of a float map; the kinds and their formulas stand at kernels::Epilogue.
#pragma once

#include <bimtdp/ops/affine.hpp>

namespace bimtdp::ops {

class Activation : public Pointwise {
 public:
  Activation(const ActivationParameters& parameters, std::size_t channels)
      : Pointwise({{}, {}, {}, parameters}, channels, "activation") {}
};

}  // namespace bimtdp::ops
