// SPDX-License-Identifier: Apache-2.0
// The version, once: CMake and the converter read it from here.
#pragma once

#define BIMTDP_VERSION_MAJOR 0
#define BIMTDP_VERSION_MINOR 1
#define BIMTDP_VERSION_PATCH 0

namespace bimtdp {
inline constexpr const char* version = "0.1.0";
}
