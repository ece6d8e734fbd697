// SPDX-License-Identifier: Apache-2.0
// Replays a model's self-test: the photo from the seed, a run that keeps every value, and their digests.
#pragma once

#include <bimtdp/graph/program.hpp>
#include <bimtdp/image/preprocess.hpp>
#include <bimtdp/io/digest.hpp>
#include <bimtdp/io/self_test.hpp>
#include <bimtdp/run/kept_run.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace bimtdp {

/// The next number of the splitmix64 sequence.
[[nodiscard]] constexpr std::uint64_t splitmix64(std::uint64_t& state) {
  std::uint64_t z = (state += 0x9E3779B97F4A7C15u);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

/// The self-test's photo: coarse noise from the seed, every coarse pixel a block of 8 x 8.
[[nodiscard]] inline Image self_test_photo(std::size_t height, std::size_t width, std::uint64_t seed) {
  Image coarse({(height + 7) / 8, (width + 7) / 8, 3});
  std::uint64_t state = seed, word = 0;
  for (std::size_t i = 0; i < coarse.span().size(); ++i) {
    if (i % 8 == 0) word = splitmix64(state);
    coarse.data()[i] = static_cast<std::uint8_t>(word >> (8 * (i % 8)));
  }
  Image photo({height, width, 3});
  for (std::size_t y = 0; y < height; ++y)
    for (std::size_t x = 0; x < width; ++x)
      for (std::size_t c = 0; c < 3; ++c) photo(y, x, c) = coarse(y / 8, x / 8, c);
  return photo;
}

/// Digests of every node's value for the photo of `seed`.
[[nodiscard]] inline std::vector<std::string> self_test_digests(const Program& program, const Normalizer& normalizer,
                                                                std::size_t height, std::size_t width, std::uint64_t seed,
                                                                const Limits& limits = {}) {
  const Plan plan(program, height, width, {.keep_all = true, .limits = limits});  // refuses bad sizes before the photo is made
  KeptRun run(program, normalizer.run(self_test_photo(height, width, seed)), limits);
  std::vector<std::string> digests;
  for (NodeId id = 0; id < run.count(); ++id) digests.push_back(digest(run.value(id)));
  return digests;
}

/// Replays the self-test on the program's kernels and compares without tolerance.
[[nodiscard]] inline VerifyReport replay(const SelfTest& test, const Program& program, const Normalizer& normalizer,
                                         const Limits& limits = {}) {
  VerifyReport report{.checked = true, .tier = program.kernels().name};
  const std::vector<std::string> got = self_test_digests(program, normalizer, test.height, test.width, test.seed, limits);
  check_equal(test.digests.size(), got.size(), "self_test", "number of digests");
  for (NodeId id = 0; id < got.size(); ++id) {
    ++report.nodes;
    if (got[id] == test.digests[id]) continue;
    report.first_difference = {id, label(id, program.graph().nodes()[id]), got[id], test.digests[id]};
    break;
  }
  return report;
}

}  // namespace bimtdp
