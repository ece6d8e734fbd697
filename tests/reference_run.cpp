// SPDX-License-Identifier: Apache-2.0
#include "reference_run.hpp"

#include <bimtdp/io/digest.hpp>
#include <bimtdp/kernels/select.hpp>
#include <bimtdp/run/kept_run.hpp>

#include <algorithm>
#include <cstring>

namespace test {

using namespace bimtdp;

ReferenceRun::ReferenceRun(const RandomNetwork& network) : network_(network) {
  const Program program(network.graph, kernels::reference_table());
  KeptRun kept(program, network.input);
  for (NodeId id = 0; id < kept.count(); ++id) digests_.push_back(digest(kept.value(id)));
}

std::optional<std::string> ReferenceRun::difference_of_values(const kernels::KernelTable& table, std::size_t threads) const {
  const Program program(network_.graph, table);
  KeptRun kept(program, network_.input, {}, threads);
  for (NodeId id = 0; id < kept.count(); ++id)
    if (digest(kept.value(id)) != digests_[id])
      return text_of(table.name, ": ", label(id, network_.graph.nodes()[id]), " of ", kept.value(id).shape);
  return std::nullopt;
}

std::optional<std::string> ReferenceRun::difference_of_outputs(const RunKind& kind, Team& team) const {
  const Program program(network_.graph, *kind.table);
  const Shape& in = network_.input.shape();
  const Plan plan(program, in.height, in.width,
                  {.threads = kind.threads, .outputs_apart = kind.outputs_apart, .band_bytes = kind.band_bytes});
  AlignedVector<std::byte> arena(plan.arena_bytes());
  if (!arena.empty()) std::memset(arena.data(), 0xff, arena.size());  // what is read before it is written is no number
  std::copy_n(network_.input.data(), network_.input.span().size(), plan.value(0, arena).floats().data);
  std::vector<Tensor<float>> maps;
  std::vector<float*> outputs;
  for (const Output& output : network_.graph.outputs())
    outputs.push_back(maps.emplace_back(plan.values()[output.node].shape).data());  // a map's elements stay where they are
  run(program, plan, team, arena, outputs);
  for (const Output& output : network_.graph.outputs())
    if (digest(plan.value(output.node, arena, outputs)) != digests_[output.node])
      return text_of(kind.table->name, ", ", kind.threads, " threads, bands of ", kind.band_bytes,
                     " bytes: ", label(output.node, network_.graph.nodes()[output.node]));
  return std::nullopt;
}

std::optional<std::string> first_difference(const RandomNetwork& network) {
  const ReferenceRun reference(network);
  for (const kernels::KernelTable* table : kernels::tables()) {
    if (auto difference = reference.difference_of_values(*table, 2)) return difference;
    for (const std::size_t threads : {1u, 2u, 3u}) {
      Team team(threads);
      for (const std::size_t band_bytes : {std::size_t{1}, std::size_t{1} << 12, std::size_t{1} << 30})
        if (auto difference = reference.difference_of_outputs({table, threads, band_bytes, threads == 2}, team)) return difference;
    }
  }
  return std::nullopt;
}

}  // namespace test
