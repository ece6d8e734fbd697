// SPDX-License-Identifier: Apache-2.0
// Runs a planned graph: stage after stage, in each the pieces of every thread, in each piece band after band. No allocation.
#pragma once

#include <bimtdp/graph/plan.hpp>
#include <bimtdp/graph/program.hpp>
#include <bimtdp/graph/run_op.hpp>
#include <bimtdp/graph/team.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <variant>

namespace bimtdp {

/// Told of every stretch of rows that a node runs; this one does not listen.
struct NoObserver {
  static void begin(std::size_t) {}
  static void end(std::size_t, NodeId) {}
};

namespace detail {

/// Runs pieces of a plan on one thread.
class PieceRunner {
 public:
  PieceRunner(const Program& program, const Plan& plan, std::span<std::byte> arena, std::span<float* const> outputs,
              std::size_t thread)
      : program_(program),
        plan_(plan),
        arena_(arena),
        outputs_(outputs),
        band_(arena.subspan(plan.scratch_offset() + thread * plan.thread_bytes(), plan.band_bytes())),
        execution_{&program.kernels(), 1,
                   arena.subspan(plan.scratch_offset() + thread * plan.thread_bytes() + plan.band_bytes(),
                                 plan.thread_bytes() - plan.band_bytes())} {}

  template <class Observer>
  void run(const Piece& piece, Observer& observer, std::size_t thread) const {
    const PlannedStep& step = plan_.steps()[piece.step];
    for (std::size_t row = piece.begin; row < piece.end; row += step.band) {
      const std::size_t rows = std::min(step.band, piece.end - row);
      for (const NodeId id : step.nodes) {
        observer.begin(thread);
        run_node(id, step, row, rows);
        observer.end(thread, id);
      }
    }
  }

 private:
  void run_node(NodeId id, const Step& step, std::size_t row, std::size_t rows) const {
    const std::vector<NodeId>& ids = program_.graph().nodes()[id].inputs;
    const std::span<const RowUse> uses = plan_.uses(id);
    std::array<ValueRef, max_inputs> inputs;
    for (std::size_t i = 0; i < ids.size(); ++i)
      inputs[i] = uses[i] == RowUse::same    ? rows_of(ids[i], step, row, rows)
                  : uses[i] == RowUse::whole ? plan_.value(ids[i], arena_, outputs_)
                                             : ValueRef{plan_.values()[ids[i]].type, plan_.values()[ids[i]].shape, nullptr};
    const PlannedValue& value = plan_.values()[id];
    const ValueRef out = rows_of(id, step, row, rows);
    const OpRunner op{std::span<const ValueRef>(inputs).first(ids.size()), out, execution_};
    std::visit(RowsRunner{op, uses.empty() ? RowUse::none : uses[0], row * value.rows_per(step), value.shape}, program_.op(id));
  }
  /// The rows of a value that belong to rows `row`, row + 1, ... of the step.
  [[nodiscard]] ValueRef rows_of(NodeId id, const Step& step, std::size_t row, std::size_t rows) const {
    const PlannedValue& v = plan_.values()[id];
    const std::size_t each = v.rows_per(step);
    const Shape shape{rows * each, v.shape.width, v.shape.channels};
    if (v.place == Place::inside) {
      const ValueRef whole = rows_of(v.inside, step, row, rows);
      return {v.type, shape, whole.data + v.offset * sizeof(float), whole.shape.channels};
    }
    if (v.place == Place::band) return {v.type, shape, band_.data() + v.offset};
    return {v.type, shape, plan_.value(id, arena_, outputs_).data + row * each * v.row_bytes};
  }

  const Program& program_;
  const Plan& plan_;
  std::span<std::byte> arena_;
  std::span<float* const> outputs_;
  std::span<std::byte> band_;
  ops::Execution execution_;
};

}  // namespace detail

/// Computes all nodes but the input, whose value the caller has written to plan.value(0, arena).
/// `arena` is 64-byte aligned and has plan.arena_bytes() bytes; `program` is the one of the plan; `outputs` has the memory of each
/// of the graph's outputs where the plan wants them apart. The observer is called from plan.threads() threads, each with its index.
template <class Observer = NoObserver>
void run(const Program& program, const Plan& plan, std::span<std::byte> arena, std::span<float* const> outputs = {},
         Observer&& observer = {}) {
  check(arena.size() >= plan.arena_bytes(), "run", "arena too small (got ", arena.size(), " bytes, expected ", plan.arena_bytes(),
        ")");
  for (const PlannedValue& value : plan.values())
    check(value.place != Place::caller || value.offset < outputs.size(), "run", "no memory for output ", value.offset);
  Barrier barrier;
  run_team(plan.threads(), [&](const TeamMember& member) {
    const detail::PieceRunner runner(program, plan, arena, outputs, member.thread);
    for (const Stage& stage : plan.stages()) {
      for (std::size_t list = member.thread; list < stage.pieces.size(); list += member.size)
        for (const Piece& piece : stage.pieces[list]) runner.run(piece, observer, member.thread);
      barrier.wait(member.size);
    }
  });
}

}  // namespace bimtdp
