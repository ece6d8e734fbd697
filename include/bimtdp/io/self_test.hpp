// SPDX-License-Identifier: Apache-2.0
// Self-test of a model file: a photo made from a seed, and the digest of every node's value for it; and what replaying it found.
#pragma once

#include <bimtdp/graph/node.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace bimtdp {

struct SelfTest {
  std::size_t height = 0, width = 0;
  std::uint64_t seed = 0;
  std::vector<std::string> digests{};  ///< of every node's value, as the reference kernels computed it
};

/// What verify() found. Node 0, the normalised photo, counts.
struct VerifyReport {
  struct Difference {
    NodeId node = 0;
    std::string description{};  ///< "node 7 (conv2d stem.conv1)"
    std::string got{}, expected{};
  };
  bool checked = false;   ///< false: the file holds no self-test (converted with --no-verify)
  std::size_t nodes = 0;  ///< compared
  std::string tier{};     ///< name of the kernel table
  std::optional<Difference> first_difference{};

  [[nodiscard]] bool ok() const { return checked && !first_difference; }
};

}  // namespace bimtdp
