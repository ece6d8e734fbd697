// SPDX-License-Identifier: Apache-2.0
// The library compiled once: exactly one file of a program includes this where BIMTDP_COMPILED is defined for all of them.
#pragma once

#include <bimtdp/definitions.hpp>
#include <bimtdp/kernels/tiers.hpp>
