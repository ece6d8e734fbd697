// SPDX-License-Identifier: Apache-2.0
// A plugin that runs a network on two threads: what a host loads, calls and unloads.
#include <bimtdp/bimtdp.hpp>
#include <bimtdp/io/digest.hpp>

#include "../graphs.hpp"

#include <cstdint>

/// A number that depends on every bit of the maps.
extern "C" __attribute__((visibility("default"))) std::uint64_t bimtdp_plugin_run() {
  static const bimtdp::Model model(test::small_network());  // destroyed when the plugin is unloaded
  bimtdp::Runner runner(model, {.threads = 2});
  std::uint64_t sum = 0;
  for (const auto& task : runner.run(test::noise_photo(32, 48)))
    for (const char c : bimtdp::digest(std::as_bytes(task.map.span()))) sum = sum * 31 + static_cast<std::uint64_t>(c);
  return sum;
}
