// SPDX-License-Identifier: Apache-2.0
// Runs a planned graph: stage after stage, in each the pieces of every thread, in each piece band after band. No allocation.
#pragma once

#include <bimtdp/graph/program.hpp>
#include <bimtdp/plan/plan.hpp>
#include <bimtdp/run/team.hpp>
#include <bimtdp/simd/float_state.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <variant>
#include <vector>

namespace bimtdp {

/// Told of every stretch of rows that a node computes; this one does not listen.
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
      : program_(program), plan_(plan), arena_(arena), outputs_(outputs) {
    const std::span<std::byte> own = arena.subspan(plan.scratch_offset() + thread * plan.thread_bytes(), plan.thread_bytes());
    band_ = own.first(plan.band_bytes());
    workspace_ = {&program.kernels(), own.subspan(plan.band_bytes())};
  }

  template <class Observer>
  void run(const Piece& piece, Observer& observer, std::size_t thread) const {
    const Step& step = plan_.steps()[piece.step];
    for (std::size_t row = piece.begin; row < piece.end; row += step.band) {
      const Band band{step, row, (std::min)(step.band, piece.end - row)};
      for (const NodeId id : step.nodes) {
        observer.begin(thread);
        compute(id, band);
        observer.end(thread, id);
      }
    }
  }

 private:
  /// Rows first, first + 1, ... of a step.
  struct Band {
    const Step& step;
    std::size_t first, rows;
  };

  void compute(NodeId id, const Band& band) const {
    const std::vector<NodeId>& ids = program_.graph().nodes()[id].inputs;
    const std::vector<RowUse>& uses = plan_.flow().uses[id];
    std::array<ValueRef, max_inputs> inputs;
    for (std::size_t i = 0; i < ids.size(); ++i) inputs[i] = input(ids[i], uses[i], band);
    const PlannedValue& value = plan_.values()[id];
    const bool only_same_rows = uses.front() == RowUse::same;
    program_.run(id, {.in = std::span<const ValueRef>(inputs).first(ids.size()),
                      .destination = destination(id, band),
                      .first_row = only_same_rows ? 0 : band.first * rows_per(band.step, value.shape.height),
                      .height = value.shape.height,
                      .workspace = workspace_});
  }

  /// A value as a node of the band reads it; without data where it reads only the shape or, a concat, wants nothing but to have it.
  [[nodiscard]] ValueRef input(NodeId id, RowUse use, const Band& band) const {
    const PlannedValue& v = plan_.values()[id];
    if (use == RowUse::none) return {v.type, v.shape, nullptr};
    if (use == RowUse::whole) return plan_.value(id, arena_, outputs_);
    return v.at<InsideConcat>() ? ValueRef{v.type, shape_of(v, band), nullptr} : rows_of(id, band);
  }
  [[nodiscard]] std::variant<ValueRef, StridedView<float>> destination(NodeId id, const Band& band) const {
    const PlannedValue& v = plan_.values()[id];
    const auto* inside = v.at<InsideConcat>();
    if (inside == nullptr) return rows_of(id, band);
    const TensorView<float> whole = rows_of(inside->concat, band).floats();
    return StridedView<float>{whole.data + inside->channel, shape_of(v, band), whole.shape.channels};
  }
  /// The rows of a value that belong to those of the band.
  [[nodiscard]] ValueRef rows_of(NodeId id, const Band& band) const {
    const PlannedValue& v = plan_.values()[id];
    if (const auto* place = v.at<InBand>()) return {v.type, shape_of(v, band), band_.data() + place->offset};
    const std::size_t first = band.first * rows_per(band.step, v.shape.height);
    return {v.type, shape_of(v, band), plan_.value(id, arena_, outputs_).data + first * v.row_bytes};
  }
  [[nodiscard]] static Shape shape_of(const PlannedValue& v, const Band& band) {
    return {band.rows * rows_per(band.step, v.shape.height), v.shape.width, v.shape.channels};
  }

  const Program& program_;
  const Plan& plan_;
  std::span<std::byte> arena_;
  std::span<float* const> outputs_;
  std::span<std::byte> band_{};
  ops::Workspace workspace_{};
};

}  // namespace detail

/// Computes all nodes but the input, whose value the caller has written to plan.value(0, arena).
/// `arena` is 64-byte aligned and has plan.arena_bytes() bytes; `program` is the one of the plan; `outputs` has the memory of each
/// of the graph's outputs where the plan wants them apart. The team has at most plan.threads() threads; the observer is called from
/// each, with its index, and must not throw.
template <class Observer = NoObserver>
void run(const Program& program, const Plan& plan, Team& team, std::span<std::byte> arena, std::span<float* const> outputs = {},
         Observer&& observer = {}) {
  demand(arena.size() >= plan.arena_bytes(), "run", "arena too small (got ", arena.size(), " bytes, expected ", plan.arena_bytes(),
         ")");
  for (const PlannedValue& value : plan.values())
    if (const auto* caller = value.at<AtCaller>())
      demand(caller->output < outputs.size(), "run", "no memory for output ", caller->output);
  demand(team.threads() <= plan.threads(), "run", "team (got ", team.threads(), " threads, expected at most the plan's ",
         plan.threads(), ")");
  team.run([&](const TeamMember& member, Barrier& barrier) {
    const FloatState standard;
    const detail::PieceRunner runner(program, plan, arena, outputs, member.thread);
    for (const Stage& stage : plan.stages()) {
      for (std::size_t list = member.thread; list < stage.pieces.size(); list += member.size)
        for (const Piece& piece : stage.pieces[list]) runner.run(piece, observer, member.thread);
      barrier.wait();
    }
  });
}

}  // namespace bimtdp
