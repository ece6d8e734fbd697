// SPDX-License-Identifier: Apache-2.0
// Runs a planned graph: one op after the other, values in the arena, no allocation.
#pragma once

#include <bimtdp/graph/plan.hpp>
#include <bimtdp/graph/program.hpp>
#include <bimtdp/graph/run_op.hpp>

#include <array>
#include <cstddef>
#include <span>
#include <variant>

namespace bimtdp {

/// Computes all nodes but the input, whose value the caller has written to plan.value(0, arena).
/// `arena` is 64-byte aligned and has plan.arena_bytes() bytes; `program` is the one of the plan.
inline void run(const Program& program, const Plan& plan, std::span<std::byte> arena) {
  check(arena.size() >= plan.arena_bytes(), "run", "arena too small (got ", arena.size(), " bytes, expected ", plan.arena_bytes(),
        ")");
  const ops::Execution execution{&program.kernels(), plan.threads(), arena.subspan(plan.scratch_offset(), plan.scratch_bytes())};
  std::array<ValueRef, max_inputs> inputs;
  for (NodeId id = 1; id < plan.values().size(); ++id) {
    const std::vector<NodeId>& ids = program.graph().nodes()[id].inputs;
    for (std::size_t i = 0; i < ids.size(); ++i) inputs[i] = plan.value(ids[i], arena);
    const ValueRef out = plan.value(id, arena);
    std::visit(detail::OpRunner{std::span<const ValueRef>(inputs).first(ids.size()), out, execution}, program.op(id));
  }
}

}  // namespace bimtdp
