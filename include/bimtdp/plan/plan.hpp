// SPDX-License-Identifier: Apache-2.0
// Plan: how a graph runs on one input size, and what the run costs - before it runs. Which nodes run together (steps.hpp),
// which thread runs which rows (schedule.hpp), and where every value lies (placement.hpp).
#pragma once

#include <bimtdp/graph/dataflow.hpp>
#include <bimtdp/graph/program.hpp>
#include <bimtdp/plan/placement.hpp>
#include <bimtdp/plan/schedule.hpp>
#include <bimtdp/plan/steps.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace bimtdp {

/// The largest number of threads of a plan.
inline constexpr std::size_t max_threads = 1024;

/// What a run may cost at most. Known from the plan, refused before anything is allocated or computed.
struct Limits {
  std::uint64_t max_bytes = std::uint64_t{4} << 30;            ///< values, scratch memory and maps of a run
  std::uint64_t max_macs = std::uint64_t{10'000'000'000'000};  ///< multiply-accumulates of a run
};

struct PlanOptions {
  std::size_t threads = 1;
  bool keep_all = false;  ///< every value stays readable after the run, every node is a step of its own: for verification
  Limits limits{};
  bool outputs_apart = false;  ///< float outputs are written to the caller's memory instead of the arena; not with keep_all
  /// How many bytes the nodes of a step write before the next rows' turn. With weights and inputs it should fit the L2 cache.
  std::size_t band_bytes = std::size_t{1} << 19;
};

class Plan {
 public:
  /// Plans a run on a height x width input. Throws Error for a size that the graph cannot take and when a limit is passed.
  Plan(const Program& program, std::size_t height, std::size_t width, const PlanOptions& options = {}) : threads_(options.threads) {
    demand(threads_ >= 1 && threads_ <= max_threads, "plan", "threads (got ", threads_, ", expected 1 to ", max_threads, ")");
    const Graph& graph = program.graph();
    flow_ = make_dataflow(graph, height, width);
    macs_ = flow_.total_work();
    demand(macs_ <= options.limits.max_macs, "plan", "too much work for the limits (got ", macs_,
           " multiply-accumulates, expected at most ", options.limits.max_macs, ")");
    steps_ = make_steps(graph, flow_, !options.keep_all, options.band_bytes);
    stages_ = make_schedule(graph, steps_, seconds(), threads_);
    place_values(graph, options);
    op_bytes_ = largest_scratch(program);
    arena_bytes_ = (Checked(arena_bytes_) + (Checked(band_bytes_) + op_bytes_) * threads_).size();
    const Checked bytes = map_bytes(graph) + arena_bytes_;
    demand(bytes <= Checked(options.limits.max_bytes), "plan", "too much memory for the limits (got ", bytes.value(),
           " bytes, expected at most ", options.limits.max_bytes, ")");
    bytes_ = bytes.size();
  }

  [[nodiscard]] const Dataflow& flow() const { return flow_; }
  [[nodiscard]] const std::vector<PlannedValue>& values() const { return values_; }
  [[nodiscard]] const std::vector<Step>& steps() const { return steps_; }
  [[nodiscard]] const std::vector<Stage>& stages() const { return stages_; }
  [[nodiscard]] Cost cost(const Step& step) const {
    Cost sum;
    for (const NodeId id : step.nodes) sum += flow_.costs[id];
    return sum;
  }
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
    if (const auto* place = v.at<InArena>()) return {v.type, v.shape, arena.data() + place->offset};
    const auto* caller = v.at<AtCaller>();
    demand(caller != nullptr, "plan", "the value of node ", id, " is not kept: it never exists as a whole");
    demand(caller->output < outputs.size(), "plan", "no memory for output ", caller->output);
    return {v.type, v.shape, reinterpret_cast<std::byte*>(outputs[caller->output])};
  }

 private:
  [[nodiscard]] std::vector<double> seconds() const {
    std::vector<double> estimates;
    for (const Step& step : steps_) estimates.push_back(cost(step).estimate(Rates{}));
    return estimates;
  }

  void place_values(const Graph& graph, const PlanOptions& options) {
    for (NodeId id = 0; id < flow_.shapes.size(); ++id) {
      const ValueType type = graph.values()[id].type;
      const std::size_t bytes = value_bytes(type, flow_.shapes[id]);
      values_.push_back({flow_.shapes[id], type, InArena{}, bytes / flow_.shapes[id].height, bytes});
    }
    detail::ValuePlacer placer(graph, flow_, values_, steps_, stages_);
    if (!options.keep_all) {
      if (options.outputs_apart) placer.place_at_caller();
      placer.place_inside_concats();
      band_bytes_ = placer.place_in_bands();
    }
    arena_bytes_ = placer.place_in_arena(options.keep_all);
  }

  /// The maps of all outputs, which are floats whatever the outputs are.
  [[nodiscard]] Checked map_bytes(const Graph& graph) const {
    Checked bytes = 0;
    for (const Output& output : graph.outputs()) bytes = bytes + value_bytes(ValueType::floats, values_[output.node].shape);
    return bytes;
  }

  [[nodiscard]] std::size_t largest_scratch(const Program& program) const {
    std::size_t most = 0;
    for (NodeId id = 0; id < values_.size(); ++id)
      most = (std::max)(most, program.scratch_bytes(id, flow_.input_shapes(program.graph().nodes()[id]), flow_.shapes[id]));
    return Checked(most).align_up(alignment).size();
  }

  std::size_t threads_;
  Dataflow flow_{};
  std::vector<PlannedValue> values_{};
  std::vector<Step> steps_{};
  std::vector<Stage> stages_{};
  std::size_t bytes_ = 0;
  std::size_t arena_bytes_ = 0;
  std::size_t band_bytes_ = 0;
  std::size_t op_bytes_ = 0;
  std::uint64_t macs_ = 0;
};

}  // namespace bimtdp
