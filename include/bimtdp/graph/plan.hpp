// SPDX-License-Identifier: Apache-2.0
// Plan: how a graph runs on one input size, and what the run costs - before it runs. Which nodes run together (steps.hpp),
// which thread runs which rows (schedule.hpp), and where every value lies:
//   in the arena, where values whose lifetimes do not meet share bytes and some ops overwrite their dying input; or,
//   where all its readers belong to the step that makes it, in that step's band: a few rows of scratch memory of each thread; or,
//   where it is a float output of the network, in the caller's memory.
#pragma once

#include <bimtdp/graph/cost.hpp>
#include <bimtdp/graph/limits.hpp>
#include <bimtdp/graph/placement.hpp>
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

struct PlanOptions {
  std::size_t threads = 1;
  bool keep_all = false;  ///< every value stays readable after the run, every node is a step of its own: for verification
  Limits limits{};
  bool outputs_apart = false;  ///< float outputs are written to the caller's memory instead of the arena; not with keep_all
  /// How many bytes the nodes of a step write before the next rows' turn. With weights and inputs it should fit the L2 cache.
  std::size_t band_bytes = std::size_t{1} << 18;
};

enum class Place { arena, band, caller };

struct PlannedValue {
  Shape shape{};
  ValueType type = ValueType::floats;
  Place place = Place::arena;
  std::size_t offset = 0;     ///< in the arena or in the band's memory, a multiple of 64; in the caller's list of outputs
  std::size_t row_bytes = 0;  ///< of one row
  std::size_t bytes = 0;      ///< of all rows, or of a band
};

struct PlannedStep : Step {
  std::size_t band = 0;       ///< rows that run through all nodes before the next rows do
  std::vector<Cost> costs{};  ///< of each node
  [[nodiscard]] Cost cost() const {
    Cost sum;
    for (const Cost& cost : costs) sum += cost;
    return sum;
  }
};

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
    if (options.outputs_apart && !keep_all_) place_outputs(graph);
    place_bands(graph);
    place_arena(graph);
    add_scratch(program);
    check(arena_bytes_ <= options.limits.max_bytes, "plan", "too much memory for the limits (got ", arena_bytes_,
          " bytes, expected at most ", options.limits.max_bytes, ")");
  }

  [[nodiscard]] const std::vector<PlannedValue>& values() const { return values_; }
  [[nodiscard]] const std::vector<PlannedStep>& steps() const { return steps_; }
  [[nodiscard]] const std::vector<Stage>& stages() const { return stages_; }
  /// How node `id` uses the rows of its inputs.
  [[nodiscard]] std::span<const RowUse> uses(NodeId id) const {
    return std::span(uses_).subspan(first_use_[id], first_use_[id + 1] - first_use_[id]);
  }
  /// Bytes of the arena: the values and, behind them, the scratch memory.
  [[nodiscard]] std::size_t arena_bytes() const { return arena_bytes_; }
  [[nodiscard]] std::size_t scratch_bytes() const { return threads_ * thread_bytes(); }
  [[nodiscard]] std::size_t scratch_offset() const { return arena_bytes_ - scratch_bytes(); }
  /// Scratch memory of one thread: the band's values, then that of the op.
  [[nodiscard]] std::size_t thread_bytes() const { return band_bytes_ + op_bytes_; }
  [[nodiscard]] std::size_t band_bytes() const { return band_bytes_; }
  [[nodiscard]] std::uint64_t macs() const { return macs_; }
  [[nodiscard]] std::size_t threads() const { return threads_; }
  [[nodiscard]] bool keeps_all() const { return keep_all_; }
  [[nodiscard]] const Shape& input() const { return values_.front().shape; }

  /// A value as a whole. `outputs`: the memory of each of the graph's outputs, needed where outputs are apart. Values in a band
  /// exist only while their step runs: Error.
  [[nodiscard]] ValueRef value(NodeId id, std::span<std::byte> arena, std::span<float* const> outputs = {}) const {
    const PlannedValue& v = values_[id];
    check(v.place != Place::band, "plan", "the value of node ", id, " is not kept: it never exists as a whole");
    if (v.place == Place::arena) return {v.type, v.shape, arena.data() + v.offset};
    check(v.offset < outputs.size(), "plan", "no memory for output ", v.offset);
    return {v.type, v.shape, reinterpret_cast<std::byte*>(outputs[v.offset])};
  }

 private:
  void add_values(const Graph& graph, const ShapedGraph& shaped) {
    std::vector<Shape> inputs;
    for (NodeId id = 0; id < shaped.shapes.size(); ++id) {
      const ValueType type = graph.values()[id].type;
      const Shape& shape = shaped.shapes[id];
      const std::size_t bytes = value_bytes(type, shape);
      values_.push_back({shape, type, Place::arena, 0, bytes / shape.height, bytes});
      const Node& node = graph.nodes()[id];
      inputs.clear();
      for (const NodeId input : node.inputs) inputs.push_back(shaped.shapes[input]);
      first_use_.push_back(uses_.size());
      for (std::size_t i = 0; i < inputs.size(); ++i) uses_.push_back(row_use(node.op, i, inputs));
    }
    first_use_.push_back(uses_.size());
  }

  void add_steps(const Graph& graph, const ShapedGraph& shaped, std::size_t band_bytes) {
    const std::vector<Step> steps = make_steps(graph, shaped.shapes, !keep_all_);
    std::vector<double> seconds;
    step_of_.assign(values_.size(), steps.size());
    for (const Step& step : steps) {
      PlannedStep planned{step, step.rows, {}};
      std::size_t row_bytes = 0;
      for (const NodeId id : step.nodes) {
        planned.costs.push_back(node_cost(graph, shaped, id));
        row_bytes += values_[id].row_bytes;
        step_of_[id] = steps_.size();
      }
      if (step.nodes.size() > 1) planned.band = std::clamp<std::size_t>(band_bytes / row_bytes, 1, step.rows);
      seconds.push_back(planned.cost().estimate(Rates{}));
      steps_.push_back(std::move(planned));
    }
    stages_ = make_schedule(graph, steps, seconds, threads_);
    stage_of_step_.resize(steps.size());
    for (std::size_t stage = 0; stage < stages_.size(); ++stage)
      for (const std::size_t step : stages_[stage].steps) stage_of_step_[step] = stage;
  }

  void place_outputs(const Graph& graph) {
    for (std::size_t i = graph.outputs().size(); i-- > 0;) {
      PlannedValue& value = values_[graph.outputs()[i].node];
      if (value.type != ValueType::floats || graph.outputs()[i].node == 0) continue;
      value.place = Place::caller;
      value.offset = i;
    }
  }

  /// Puts every value that only its own step reads into that step's band.
  void place_bands(const Graph& graph) {
    if (keep_all_) return;
    std::vector<bool> in_band(values_.size(), true);
    in_band[0] = false;
    for (const Output& output : graph.outputs()) in_band[output.node] = false;
    for (NodeId id = 0; id < values_.size(); ++id)
      for (const NodeId input : graph.nodes()[id].inputs)
        if (step_of_[input] != step_of_[id]) in_band[input] = false;
    for (const PlannedStep& step : steps_) place_band(graph, step, in_band);
  }
  void place_band(const Graph& graph, const PlannedStep& step, const std::vector<bool>& in_band) {
    std::vector<Block> blocks;
    std::vector<NodeId> owner;
    for (std::size_t i = 0; i < step.nodes.size() && step.nodes.size() > 1; ++i) {
      const NodeId id = step.nodes[i];
      if (!in_band[id]) continue;
      std::size_t last = i;
      for (std::size_t j = i + 1; j < step.nodes.size(); ++j) {
        const std::vector<NodeId>& inputs = graph.nodes()[step.nodes[j]].inputs;
        if (std::find(inputs.begin(), inputs.end(), id) != inputs.end()) last = j;
      }
      blocks.push_back({(Checked(values_[id].row_bytes) * step.band).size(), i, last, 0});
      owner.push_back(id);
    }
    band_bytes_ = std::max(band_bytes_, place(blocks).size());
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      PlannedValue& value = values_[owner[i]];
      value.place = Place::band;
      value.offset = blocks[i].offset;
      value.bytes = blocks[i].bytes;
    }
  }

  /// Ops that may write their result over their first input.
  static bool may_overwrite(const NodeOp& op) {
    return std::holds_alternative<AffineNode>(op) || std::holds_alternative<ActivationNode>(op) ||
           std::holds_alternative<AddNode>(op) || std::holds_alternative<MultiplyNode>(op) ||
           std::holds_alternative<SoftmaxNode>(op) || std::holds_alternative<L2NormalizeNode>(op);
  }
  [[nodiscard]] std::size_t stage_of(NodeId id) const { return id == 0 ? 0 : stage_of_step_[step_of_[id]]; }

  /// The last stage that reads each value; outputs, and in kept mode all values, outlive the last stage.
  [[nodiscard]] std::vector<std::size_t> last_uses(const Graph& graph) const {
    std::vector<std::size_t> last(values_.size());
    for (NodeId id = 0; id < values_.size(); ++id) {
      last[id] = keep_all_ ? stages_.size() : stage_of(id);
      for (std::size_t i = 0; i < uses(id).size(); ++i)
        if (uses(id)[i] != RowUse::none) {
          const NodeId input = graph.nodes()[id].inputs[i];
          last[input] = std::max(last[input], stage_of(id));
        }
    }
    for (const Output& output : graph.outputs()) last[output.node] = stages_.size();
    return last;
  }

  /// Whether node `id` is the only one to read its first input in the stage in which that dies.
  [[nodiscard]] bool overwrites(const Graph& graph, NodeId id, const std::vector<std::size_t>& last) const {
    if (!may_overwrite(graph.nodes()[id].op)) return false;
    const NodeId input = graph.nodes()[id].inputs[0];
    if (values_[input].place != Place::arena || values_[id].place != Place::arena || last[input] != stage_of(id)) return false;
    std::size_t readers = 0;
    for (NodeId other = input + 1; other < values_.size(); ++other) {
      const std::vector<NodeId>& inputs = graph.nodes()[other].inputs;
      if (stage_of(other) == stage_of(id)) readers += static_cast<std::size_t>(std::count(inputs.begin(), inputs.end(), input));
    }
    return readers == 1;
  }

  void place_arena(const Graph& graph) {
    const std::vector<std::size_t> last = last_uses(graph);
    std::vector<Block> blocks;
    std::vector<std::size_t> block_of(values_.size());
    for (NodeId id = 0; id < values_.size(); ++id) {
      if (values_[id].place != Place::arena) continue;
      if (overwrites(graph, id, last)) {
        block_of[id] = block_of[graph.nodes()[id].inputs[0]];
        blocks[block_of[id]].last = last[id];
      } else {
        block_of[id] = blocks.size();
        blocks.push_back({values_[id].bytes, stage_of(id), last[id], 0});
      }
    }
    arena_bytes_ = place(blocks).size();
    for (NodeId id = 0; id < values_.size(); ++id)
      if (values_[id].place == Place::arena) values_[id].offset = blocks[block_of[id]].offset;
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
  std::vector<std::size_t> step_of_{};  // of a node; that of the input is the number of steps
  std::vector<std::size_t> stage_of_step_{};
  std::vector<RowUse> uses_{};  // of all nodes' inputs, one after the other
  std::vector<std::size_t> first_use_{};
  std::size_t arena_bytes_ = 0;
  std::size_t band_bytes_ = 0;
  std::size_t op_bytes_ = 0;
  std::uint64_t macs_ = 0;
};

}  // namespace bimtdp
