// SPDX-License-Identifier: Apache-2.0
// Runs of a random network that must agree with the reference kernels bit for bit.
#pragma once

#include <bimtdp/kernels/table.hpp>
#include <bimtdp/run/team.hpp>

#include "random_network.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace test {

/// How a network is run.
struct RunKind {
  const bimtdp::kernels::KernelTable* table = nullptr;
  std::size_t threads = 1;
  std::size_t band_bytes = 1;
  bool outputs_apart = false;  ///< see bimtdp::PlanOptions
};

/// The reference kernels' values of a network, on one thread and every node by itself, to which others are held.
class ReferenceRun {
 public:
  explicit ReferenceRun(const RandomNetwork& network);

  /// What differs where a table keeps every value: which value; nothing where nothing does.
  std::optional<std::string> difference_of_values(const bimtdp::kernels::KernelTable& table, std::size_t threads) const;
  /// What differs in the outputs of a run as a plan has it, on a team of kind.threads.
  std::optional<std::string> difference_of_outputs(const RunKind& kind, bimtdp::Team& team) const;

 private:
  const RandomNetwork& network_;
  std::vector<std::string> digests_;
};

/// What differs between the reference and all tables, thread counts, bands and fusions.
std::optional<std::string> first_difference(const RandomNetwork& network);

}  // namespace test
