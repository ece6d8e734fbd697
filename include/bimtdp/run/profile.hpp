// SPDX-License-Identifier: Apache-2.0
// Profile: how long each node of a run took, beside what it costs at best; and the run as a trace.
#pragma once

#include <bimtdp/graph/cost.hpp>
#include <bimtdp/plan/plan.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace bimtdp {

/// A stretch of rows of one node on one thread; nanoseconds since the run began.
struct ProfileEvent {
  NodeId node = 0;
  std::size_t thread = 0;
  std::int64_t begin = 0, end = 0;
};

struct NodeProfile {
  NodeId node = 0;
  std::string description{};  ///< "node 7 (conv2d stem.conv1)"
  std::size_t step = 0;
  double seconds = 0.0;  ///< of all threads together
  Cost cost{};
  double bound = 0.0;  ///< seconds that the cost takes at the rates
};

struct Profile {
  double seconds = 0.0;              ///< of the run, clock time
  Rates rates{};                     ///< that the bounds use
  std::vector<NodeProfile> nodes{};  ///< in the order of the steps
  std::vector<ProfileEvent> events{};

  /// The sum of the nodes' times and of their bounds.
  [[nodiscard]] double busy() const {
    double sum = 0.0;
    for (const NodeProfile& node : nodes) sum += node.seconds;
    return sum;
  }
  [[nodiscard]] double bound() const {
    double sum = 0.0;
    for (const NodeProfile& node : nodes) sum += node.bound;
    return sum;
  }
};

namespace detail {

/// How often a run of the plan computes a stretch of rows of a node.
[[nodiscard]] inline std::size_t count_events(const Plan& plan) {
  std::size_t events = 0;
  for (const Stage& stage : plan.stages())
    for (const std::vector<Piece>& list : stage.pieces)
      for (const Piece& piece : list) {
        const Step& step = plan.steps()[piece.step];
        events += (piece.end - piece.begin + step.band - 1) / step.band * step.nodes.size();
      }
  return events;
}

}  // namespace detail

/// An observer of run() that writes down every event of one run of a plan; each thread has its own list.
class EventRecorder {
 public:
  /// Allocates for any division of the work among the threads: nothing may fail during the run.
  explicit EventRecorder(const Plan& plan) : start_(Clock::now()), threads_(plan.threads()) {
    const std::size_t events = detail::count_events(plan);
    for (Thread& t : threads_) t.events.reserve(events);
  }

  void begin(std::size_t thread) noexcept { threads_[thread].begin = now(); }
  void end(std::size_t thread, NodeId node) noexcept {
    Thread& t = threads_[thread];
    t.events.push_back({node, thread, t.begin, now()});
  }

  /// Forgets all events and starts the clock anew.
  void restart() {
    for (Thread& t : threads_) t.events.clear();
    start_ = Clock::now();
  }
  [[nodiscard]] std::int64_t now() const noexcept {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start_).count();
  }
  [[nodiscard]] std::vector<ProfileEvent> events() const {
    std::vector<ProfileEvent> all;
    for (const Thread& t : threads_) all.insert(all.end(), t.events.begin(), t.events.end());
    return all;
  }

 private:
  using Clock = std::chrono::steady_clock;
  struct alignas(64) Thread {
    std::vector<ProfileEvent> events{};
    std::int64_t begin = 0;
  };
  Clock::time_point start_;
  std::vector<Thread> threads_;
};

/// The profile of one run from its events.
[[nodiscard]] inline Profile make_profile(const Graph& graph, const Plan& plan, const Rates& rates, double seconds,
                                          std::vector<ProfileEvent> events) {
  Profile profile{seconds, rates, {}, std::move(events)};
  std::vector<double> spent(plan.values().size(), 0.0);
  for (const ProfileEvent& event : profile.events) spent[event.node] += static_cast<double>(event.end - event.begin) * 1e-9;
  for (std::size_t s = 0; s < plan.steps().size(); ++s) {
    for (const NodeId id : plan.steps()[s].nodes) {
      const Cost& cost = plan.flow().costs[id];
      profile.nodes.push_back({id, label(id, graph.nodes()[id]), s, spent[id], cost, cost.bound(rates)});
    }
  }
  return profile;
}

}  // namespace bimtdp
