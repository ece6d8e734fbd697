// SPDX-License-Identifier: Apache-2.0
// Plan, made.
#pragma once

#include <algorithm>

namespace bimtdp {

Plan::Plan(const Program& program, std::size_t height, std::size_t width, const PlanOptions& options) : threads_(options.threads) {
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

std::vector<double> Plan::seconds() const {
  std::vector<double> estimates;
  for (const Step& step : steps_) estimates.push_back(cost(step).estimate(Rates{}));
  return estimates;
}

void Plan::place_values(const Graph& graph, const PlanOptions& options) {
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

Checked Plan::map_bytes(const Graph& graph) const {
  Checked bytes = 0;
  for (const Output& output : graph.outputs()) bytes = bytes + value_bytes(ValueType::floats, values_[output.node].shape);
  return bytes;
}

std::size_t Plan::largest_scratch(const Program& program) const {
  std::size_t most = 0;
  for (NodeId id = 0; id < values_.size(); ++id)
    most = (std::max)(most, program.scratch_bytes(id, flow_.input_shapes(program.graph().nodes()[id]), flow_.shapes[id]));
  return Checked(most).align_up(alignment).size();
}

}  // namespace bimtdp
