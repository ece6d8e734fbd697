// SPDX-License-Identifier: Apache-2.0
// Random networks of all operations, and runs of them that must agree bit for bit. Bytes decide everything, so that a fuzzer can
// steer and a seed repeats a network.
#pragma once

#include <bimtdp/core/tensor.hpp>
#include <bimtdp/graph/graph.hpp>
#include <bimtdp/kernels/table.hpp>
#include <bimtdp/run/team.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace test {

/// Decisions from bytes; when they are used up, from a sequence that only their number decides.
class Choices {
 public:
  explicit Choices(std::span<const std::uint8_t> bytes) : bytes_(bytes), state_(bytes.size()) {}

  std::uint8_t byte();
  /// 0 to limit - 1, limit at most 2^16.
  std::size_t below(std::size_t limit);
  std::size_t between(std::size_t least, std::size_t most) { return least + below(most - least + 1); }
  bool one_in(std::size_t n) { return below(n) == 0; }
  /// Mostly small multiples of 1/512; now and then 0, -0, denormal, huge, infinite or no number, where `special` allows it. One
  /// byte decides them all, so that bytes remain for what matters more.
  std::vector<float> numbers(std::size_t count, bool special = false);

 private:
  std::span<const std::uint8_t> bytes_;
  std::uint64_t state_;
};

struct RandomNetwork {
  bimtdp::Graph graph;
  bimtdp::Tensor<float> input;
};

/// A network that is valid, and an input that it takes. No node has more than `max_work` multiply-accumulates or the like.
RandomNetwork random_network(Choices& choices, std::uint64_t max_work = std::uint64_t{1} << 26);

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
