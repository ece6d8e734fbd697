// SPDX-License-Identifier: Apache-2.0
// Isa: the instruction tiers, which of them this CPU runs, and the BIMTDP_ISA override.
#pragma once

#include <bimtdp/core/error.hpp>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace bimtdp::simd {

/// A tier. `baseline` is what the compiler's flags allow and runs everywhere.
enum class Isa : std::uint8_t { baseline, sse42, avx2, avx512, neon };

/// All tiers, best first.
inline constexpr std::array all_isas{Isa::avx512, Isa::avx2, Isa::sse42, Isa::neon, Isa::baseline};

[[nodiscard]] constexpr const char* name(Isa isa) noexcept {
  switch (isa) {
    case Isa::sse42:
      return "sse42";
    case Isa::avx2:
      return "avx2";
    case Isa::avx512:
      return "avx512";
    case Isa::neon:
      return "neon";
    case Isa::baseline:
      break;
  }
  return "baseline";
}

/// Whether this CPU (and its operating system) has every feature in the tier's list of target.hpp.
[[nodiscard]] inline bool runnable(Isa isa) noexcept {
#if defined(__x86_64__)
  const auto has_avx2 = [] {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
           __builtin_cpu_supports("fma") && __builtin_cpu_supports("popcnt");
  };
  const auto has_avx512 = [] {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vpopcntdq");
  };
  switch (isa) {
    case Isa::baseline:
      return true;
    case Isa::sse42:
      return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt");
    case Isa::avx2:
      return has_avx2();
    case Isa::avx512:
      return has_avx2() && has_avx512();
    case Isa::neon:
      return false;
  }
  return false;
#elif defined(__aarch64__)
  return isa == Isa::baseline || isa == Isa::neon;
#else
  return isa == Isa::baseline;
#endif
}

/// The best tier that this CPU runs.
[[nodiscard]] inline Isa best() noexcept {
  for (const Isa isa : all_isas)
    if (runnable(isa)) return isa;
  return Isa::baseline;
}

/// Names of the tiers that this CPU runs, best first, separated by ", ".
[[nodiscard]] inline std::string runnable_names() {
  std::string names;
  for (const Isa isa : all_isas)
    if (runnable(isa)) names += (names.empty() ? "" : ", ") + std::string(name(isa));
  return names;
}

/// The tier called `wanted`; an Error naming the choices where there is none or this CPU cannot run it.
[[nodiscard]] inline Isa choose(std::string_view wanted) {
  for (const Isa isa : all_isas) {
    if (wanted != name(isa)) continue;
    check(runnable(isa), "BIMTDP_ISA", "this CPU does not run the tier '", wanted, "'; choices: ", runnable_names());
    return isa;
  }
  fail("BIMTDP_ISA", "unknown tier '", wanted, "'; choices: ", runnable_names());
}

/// The tier that the environment variable BIMTDP_ISA names, else the best one. An empty variable counts as unset.
[[nodiscard]] inline Isa selected() {
  const char* wanted = std::getenv("BIMTDP_ISA");
  return wanted && *wanted ? choose(wanted) : best();
}

}  // namespace bimtdp::simd
