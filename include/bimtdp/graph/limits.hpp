// SPDX-License-Identifier: Apache-2.0
// Limits: what a run may cost at most. Known from the plan, refused before anything is allocated or computed.
#pragma once

#include <cstdint>

namespace bimtdp {

struct Limits {
  std::uint64_t max_bytes = std::uint64_t{4} << 30;            ///< values, scratch memory and maps of a run
  std::uint64_t max_macs = std::uint64_t{10'000'000'000'000};  ///< multiply-accumulates of a run
};

}  // namespace bimtdp
