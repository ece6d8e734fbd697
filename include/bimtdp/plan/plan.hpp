// SPDX-License-Identifier: Apache-2.0
// Plan: how a graph runs on one input size, and what the run costs - before it runs. Which nodes run together (steps.hpp),
// which thread runs which rows (schedule.hpp), and where every value lies (placement.hpp).
#pragma once

#include <bimtdp/core/inline.hpp>
#include <bimtdp/graph/dataflow.hpp>
#include <bimtdp/graph/program.hpp>
#include <bimtdp/plan/placement.hpp>
#include <bimtdp/plan/schedule.hpp>
#include <bimtdp/plan/steps.hpp>

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
  BIMTDP_INLINE Plan(const Program& program, std::size_t height, std::size_t width, const PlanOptions& options = {});

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
  [[nodiscard]] BIMTDP_INLINE std::vector<double> seconds() const;

  BIMTDP_INLINE void place_values(const Graph& graph, const PlanOptions& options);

  /// The maps of all outputs, which are floats whatever the outputs are.
  [[nodiscard]] BIMTDP_INLINE Checked map_bytes(const Graph& graph) const;

  [[nodiscard]] BIMTDP_INLINE std::size_t largest_scratch(const Program& program) const;

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

#if !defined(BIMTDP_COMPILED)
#include <bimtdp/plan/plan.inl>
#endif
