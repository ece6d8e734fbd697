// SPDX-License-Identifier: Apache-2.0
// Tier: a set of instructions for which the kernels are compiled; which of them this CPU runs, and the BIMTDP_ISA override.
#pragma once

#include <bimtdp/core/error.hpp>
#include <bimtdp/simd/tier_list.hpp>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace bimtdp::simd {

#define BIMTDP_ENUMERATOR(tier) tier,
#define BIMTDP_VALUE(tier) Tier::tier,

/// The tiers of every architecture. `baseline` is what the compiler's flags allow and runs everywhere.
enum class Tier : std::uint8_t { BIMTDP_X86_TIERS(BIMTDP_ENUMERATOR) BIMTDP_ARM_TIERS(BIMTDP_ENUMERATOR) baseline };

/// All tiers, best first.
inline constexpr std::array all_tiers{BIMTDP_X86_TIERS(BIMTDP_VALUE) BIMTDP_ARM_TIERS(BIMTDP_VALUE) Tier::baseline};

#undef BIMTDP_VALUE
#undef BIMTDP_ENUMERATOR

[[nodiscard]] constexpr const char* name(Tier tier) noexcept {
  switch (tier) {
#define BIMTDP_CASE(tier) \
  case Tier::tier:        \
    return #tier;
    BIMTDP_X86_TIERS(BIMTDP_CASE)
    BIMTDP_ARM_TIERS(BIMTDP_CASE)
    BIMTDP_CASE(baseline)
#undef BIMTDP_CASE
  }
  return "";
}

/// Whether this CPU (and its operating system) has every feature of the tier.
[[nodiscard]] inline bool runnable(Tier tier) noexcept {
  switch (tier) {
#define BIMTDP_CASE(tier) \
  case Tier::tier:        \
    return BIMTDP_FEATURES_##tier(__builtin_cpu_supports, &&);
    BIMTDP_TIERS(BIMTDP_CASE)
#undef BIMTDP_CASE
    default:  // of another architecture
      return false;
  }
}

/// The best tier that this CPU runs.
[[nodiscard]] inline Tier best() noexcept {
  for (const Tier tier : all_tiers)
    if (runnable(tier)) return tier;
  return Tier::baseline;
}

/// Names of the tiers that this CPU runs, best first, separated by ", ".
[[nodiscard]] inline std::string runnable_names() {
  std::string names;
  for (const Tier tier : all_tiers)
    if (runnable(tier)) names += (names.empty() ? "" : ", ") + std::string(name(tier));
  return names;
}

/// The tier called `wanted`; an Error naming the choices where there is none or this CPU cannot run it.
[[nodiscard]] inline Tier choose(std::string_view wanted) {
  for (const Tier tier : all_tiers) {
    if (wanted != name(tier)) continue;
    demand(runnable(tier), "BIMTDP_ISA", "this CPU does not run the tier '", wanted, "'; choices: ", runnable_names());
    return tier;
  }
  fail("BIMTDP_ISA", "unknown tier '", wanted, "'; choices: ", runnable_names());
}

/// The tier that the environment variable BIMTDP_ISA names, else the best one. An empty variable counts as unset.
[[nodiscard]] inline Tier selected() {
  const char* wanted = std::getenv("BIMTDP_ISA");
  return wanted && *wanted ? choose(wanted) : best();
}

}  // namespace bimtdp::simd
