// SPDX-License-Identifier: Apache-2.0
// Schedule: which thread runs which rows of which step, fixed before the run. Stages follow one another; within a stage
// nothing depends on anything else, so independent branches run side by side and a small stage stays on one thread.
#pragma once

#include <bimtdp/plan/steps.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

namespace bimtdp {

/// Rows begin to end-1 of a step.
struct Piece {
  std::size_t step = 0, begin = 0, end = 0;
};

struct Stage {
  std::vector<std::size_t> steps{};
  std::vector<std::vector<Piece>> pieces{};  ///< of every thread; one list: the stage is not worth a team
};

/// The stage of every step.
[[nodiscard]] inline std::vector<std::size_t> stage_of_steps(std::span<const Stage> stages, std::size_t steps) {
  std::vector<std::size_t> stage_of(steps);
  for (std::size_t stage = 0; stage < stages.size(); ++stage)
    for (const std::size_t step : stages[stage].steps) stage_of[step] = stage;
  return stage_of;
}

/// Less work than this is not split: waking a thread and waiting for it costs microseconds.
inline constexpr double smallest_share = 15e-6;

namespace detail {

/// The steps' stage numbers: one behind the latest stage that an input comes from.
[[nodiscard]] inline std::vector<std::size_t> stage_levels(const Graph& graph, std::span<const Step> steps) {
  const std::vector<std::size_t> step_of = step_of_nodes(steps, graph.nodes().size());
  std::vector<std::size_t> level(steps.size(), 0);
  for (std::size_t s = 0; s < steps.size(); ++s)
    for (const NodeId id : steps[s].nodes)
      for (const NodeId input : graph.nodes()[id].inputs)
        if (step_of[input] < s) level[s] = (std::max)(level[s], level[step_of[input]] + 1);
  return level;
}

/// Cuts the stage's work into `threads` equal stretches, step after step, at row boundaries.
[[nodiscard]] inline std::vector<std::vector<Piece>> split(const std::vector<std::size_t>& stage, std::span<const Step> steps,
                                                           std::span<const double> seconds, std::size_t threads) {
  double total = 0.0;
  for (const std::size_t s : stage) total += seconds[s];
  threads = (std::min)(threads, static_cast<std::size_t>((std::max)(1.0, total / smallest_share)));
  std::vector<std::vector<Piece>> pieces(threads);
  double done = 0.0;
  std::size_t thread = 0;
  for (const std::size_t s : stage) {
    const std::size_t rows = steps[s].rows;
    const double row_seconds = seconds[s] / static_cast<double>(rows);
    for (std::size_t row = 0; row < rows;) {
      const double room = total * static_cast<double>(thread + 1) / static_cast<double>(threads) - done;
      std::size_t take = rows - row;
      if (thread + 1 < threads) {
        if (steps[s].by_rows) {
          take = (std::min)(take, static_cast<std::size_t>(std::lround((std::max)(0.0, room) / row_seconds)));
        } else if (room < seconds[s] / 2.0) {
          take = 0;
        }
      }
      if (take > 0) pieces[thread].push_back({s, row, row + take});
      row += take;
      done += row_seconds * static_cast<double>(take);
      if (row < rows) ++thread;
    }
  }
  return pieces;
}

}  // namespace detail

/// `seconds` estimates every step. One thread: a stage per step, in order (what was just written is still in the cache).
[[nodiscard]] inline std::vector<Stage> make_schedule(const Graph& graph, std::span<const Step> steps,
                                                      std::span<const double> seconds, std::size_t threads) {
  std::vector<Stage> stages;
  const std::vector<std::size_t> level = threads > 1 ? detail::stage_levels(graph, steps) : std::vector<std::size_t>{};
  for (std::size_t s = 0; s < steps.size(); ++s) {
    const std::size_t stage = threads > 1 ? level[s] : s;
    if (stage >= stages.size()) stages.resize(stage + 1);
    stages[stage].steps.push_back(s);
  }
  for (Stage& stage : stages) stage.pieces = detail::split(stage.steps, steps, seconds, threads);
  return stages;
}

}  // namespace bimtdp
