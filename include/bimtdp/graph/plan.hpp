// SPDX-License-Identifier: Apache-2.0
// Plan: how a graph runs on one input size, and what the run costs - before it runs. Which nodes run together (steps.hpp),
// which thread runs which rows (schedule.hpp), and where every value lies (memory.hpp).
#pragma once

#include <bimtdp/graph/cost.hpp>
#include <bimtdp/graph/memory.hpp>
#include <bimtdp/graph/planned.hpp>
#include <bimtdp/graph/program.hpp>
#include <bimtdp/graph/schedule.hpp>
#include <bimtdp/graph/shapes.hpp>
#include <bimtdp/graph/steps.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <variant>
#include <vector>

namespace bimtdp {

class Plan {
 public:
  /// Plans a run on a height x width input. Throws Error for a size that the graph cannot take and when a limit is passed.
  Plan(const Program& program, std::size_t height, std::size_t width, const PlanOptions& options = {})
      : threads_(options.threads), keep_all_(options.keep_all) {
    check(threads_ >= 1 && threads_ <= ops::max_threads, "plan", "threads (got ", threads_, ", expected 1 to ", ops::max_threads,
          ")");
    const Graph& graph = program.graph();
    const ShapedGraph shaped = infer_shapes(graph, height, width);
    Checked macs = 0;
    for (const std::uint64_t work : shaped.work) macs = macs + work;
    macs_ = macs.value();
    check(macs_ <= options.limits.max_macs, "plan", "too much work for the limits (got ", macs_,
          " multiply-accumulates, expected at most ", options.limits.max_macs, ")");
    add_values(graph, shaped);
    add_steps(graph, shaped, options.band_bytes);
    detail::ValuePlacer placer(graph, values_, steps_, stages_);
    if (options.outputs_apart && !keep_all_) placer.place_outputs();
    if (!keep_all_) {
      placer.place_inside();
      band_bytes_ = placer.place_bands();
    }
    arena_bytes_ = placer.place_arena(keep_all_);
    add_scratch(program);
    const Checked bytes = map_bytes(graph) + arena_bytes_;
    check(bytes <= Checked(options.limits.max_bytes), "plan", "too much memory for the limits (got ", bytes.value(),
          " bytes, expected at most ", options.limits.max_bytes, ")");
    bytes_ = bytes.size();
  }

  [[nodiscard]] const std::vector<PlannedValue>& values() const { return values_; }
  [[nodiscard]] const std::vector<PlannedStep>& steps() const { return steps_; }
  [[nodiscard]] const std::vector<Stage>& stages() const { return stages_; }
  /// How node `id` uses the rows of its inputs.
  [[nodiscard]] std::span<const RowUse> uses(NodeId id) const { return values_[id].uses; }
  /// All bytes of a run, the maps that it gives to the caller included.
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  /// Bytes of the arena: the values and, behind them, the scratch memory.
  [[nodiscard]] std::size_t arena_bytes() const { return arena_bytes_; }
  [[nodiscard]] std::size_t scratch_bytes() const { return threads_ * thread_bytes(); }
  [[nodiscard]] std::size_t scratch_offset() const { return arena_bytes_ - scratch_bytes(); }
  /// Scratch memory of one thread: the band's values, then that of the op.
  [[nodiscard]] std::size_t thread_bytes() const { return band_bytes_ + op_bytes_; }
  [[nodiscard]] std::size_t band_bytes() const { return band_bytes_; }
  [[nodiscard]] std::uint64_t macs() const { return macs_; }
  [[nodiscard]] std::size_t threads() const { return threads_; }
  [[nodiscard]] const Shape& input() const { return values_.front().shape; }

  /// A value as a whole. `outputs`: the memory of each of the graph's outputs, needed where outputs are apart. Values in a band
  /// exist only while their step runs: Error.
  [[nodiscard]] ValueRef value(NodeId id, std::span<std::byte> arena, std::span<float* const> outputs = {}) const {
    const PlannedValue& v = values_[id];
    check(v.place != Place::band && v.place != Place::inside, "plan", "the value of node ", id,
          " is not kept: it never exists as a whole");
    if (v.place == Place::arena) return {v.type, v.shape, arena.data() + v.offset};
    check(v.offset < outputs.size(), "plan", "no memory for output ", v.offset);
    return {v.type, v.shape, reinterpret_cast<std::byte*>(outputs[v.offset])};
  }

 private:
  /// The maps of all outputs, which are floats whatever the outputs are.
  [[nodiscard]] Checked map_bytes(const Graph& graph) const {
    Checked bytes = 0;
    for (const Output& output : graph.outputs()) bytes = bytes + value_bytes(ValueType::floats, values_[output.node].shape);
    return bytes;
  }

  void add_values(const Graph& graph, const ShapedGraph& shaped) {
    std::vector<Shape> inputs;
    for (NodeId id = 0; id < shaped.shapes.size(); ++id) {
      const ValueType type = graph.values()[id].type;
      const Shape& shape = shaped.shapes[id];
      const std::size_t bytes = value_bytes(type, shape);
      values_.push_back({shape, type, Place::arena, 0, 0, bytes / shape.height, bytes, {}});
      const Node& node = graph.nodes()[id];
      inputs.clear();
      for (const NodeId input : node.inputs) inputs.push_back(shaped.shapes[input]);
      for (std::size_t i = 0; i < inputs.size(); ++i) values_[id].uses.push_back(row_use(node.op, i, inputs));
    }
  }

  void add_steps(const Graph& graph, const ShapedGraph& shaped, std::size_t band_bytes) {
    const std::vector<Step> steps = make_steps(graph, shaped.shapes, !keep_all_);
    std::vector<double> seconds;
    for (const Step& step : steps) {
      PlannedStep planned{step, step.rows, {}};
      std::size_t row_bytes = 0;
      for (const NodeId id : step.nodes) {
        planned.costs.push_back(node_cost(graph, shaped, id));
        row_bytes += values_[id].row_bytes * values_[id].rows_per(step);
      }
      if (step.nodes.size() > 1) planned.band = std::clamp<std::size_t>(band_bytes / row_bytes, 1, step.rows);
      seconds.push_back(planned.cost().estimate(Rates{}));
      steps_.push_back(std::move(planned));
    }
    stages_ = make_schedule(graph, steps, seconds, threads_);
  }

  void add_scratch(const Program& program) {
    std::vector<Shape> inputs;
    for (NodeId id = 0; id < values_.size(); ++id) {
      const Node& node = program.graph().nodes()[id];
      inputs.clear();
      for (const NodeId input : node.inputs) inputs.push_back(values_[input].shape);
      const Shape& out = values_[id].shape;
      check_equal(std::visit(detail::OutputShapeRule{inputs, out}, program.op(id)), out, describe(id, node),
                  "output shape of the op");
      op_bytes_ = std::max(op_bytes_, std::visit(detail::ScratchRule{inputs, out, 1}, program.op(id)));
    }
    op_bytes_ = Checked(op_bytes_).align_up(alignment).size();
    arena_bytes_ = (Checked(arena_bytes_) + (Checked(band_bytes_) + op_bytes_) * threads_).size();
  }

  std::size_t threads_;
  bool keep_all_;
  std::vector<PlannedValue> values_{};
  std::vector<PlannedStep> steps_{};
  std::vector<Stage> stages_{};
  std::size_t bytes_ = 0;
  std::size_t arena_bytes_ = 0;
  std::size_t band_bytes_ = 0;
  std::size_t op_bytes_ = 0;
  std::uint64_t macs_ = 0;
};

}  // namespace bimtdp
