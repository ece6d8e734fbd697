// SPDX-License-Identifier: Apache-2.0
// Team: threads that run one thing together, again and again. They are the library's own: made at the first run that wants them,
// asleep between runs, gone with the team.
#pragma once

#include <bimtdp/run/barrier.hpp>
#include <bimtdp/run/process.hpp>
#include <bimtdp/run/threads.hpp>

#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace bimtdp {

/// A thread's place in its team.
struct TeamMember {
  std::size_t thread = 0;  ///< 0, the thread that called Team::run, to size - 1
  std::size_t size = 1;
};

/// Used by one thread at a time. Can be moved while nothing runs. In a child of fork(), which has none of its parent's threads, a
/// team makes new ones.
class Team {
 public:
  /// Makes no thread yet.
  explicit Team(std::size_t threads = 1) noexcept : threads_(threads) {}
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;
  Team(Team&&) noexcept = default;
  Team& operator=(Team&& other) noexcept {
    stop();
    threads_ = other.threads_;
    crew_ = std::move(other.crew_);
    return *this;
  }
  ~Team() { stop(); }

  [[nodiscard]] std::size_t threads() const noexcept { return threads_; }

  /// Calls body(member, barrier) on all threads of the team and returns when all have returned; on fewer threads, at least this
  /// one, where the system gives no more. All members may meet at the barrier. The body must not throw.
  template <class Body>
  void run(Body&& body) {
    if (threads_ > 1 && (!crew_ || !crew_->process.is_this())) start();
    if (!crew_) {
      Barrier alone(1);
      return body(TeamMember{}, alone);
    }
    crew_->body = &body;
    crew_->call = [](void* object, const TeamMember& member, Barrier& barrier) {
      (*static_cast<std::remove_reference_t<Body>*>(object))(member, barrier);
    };
    crew_->barrier.wait();  // off
    body(TeamMember{0, crew_->barrier.size()}, crew_->barrier);
    crew_->barrier.wait();  // all are done
  }

 private:
  struct Crew {
    explicit Crew(std::size_t size) : barrier(size, size <= detail::affinity_threads()) {}
    Barrier barrier;
    detail::Process process{};
    void (*call)(void*, const TeamMember&, Barrier&) = nullptr;  ///< null: the end
    void* body = nullptr;
    std::vector<std::thread> workers{};
  };

  static void work(Crew& crew, std::size_t thread) noexcept {
    for (;; crew.barrier.wait()) {
      crew.barrier.wait();
      if (crew.call == nullptr) return;
      crew.call(crew.body, {thread, crew.barrier.size()}, crew.barrier);
    }
  }

  // Leaves a parent's crew, if any, alone: its threads are not in this process, and nothing can be done with them.
  void abandon() noexcept { [[maybe_unused]] const Crew* parents = crew_.release(); }

  void start() {
    abandon();
    auto crew = std::make_unique<Crew>(threads_);
    crew->workers.reserve(threads_ - 1);
    [[maybe_unused]] const detail::BlockedSignals blocked{};  // signals belong to the program's threads
    try {
      while (crew->workers.size() + 1 < threads_) crew->workers.emplace_back(work, std::ref(*crew), crew->workers.size() + 1);
    } catch (const std::exception&) {  // no more threads, or no memory for them: those that are there do the work
      crew->barrier.resize(crew->workers.size() + 1);
    }
    crew_ = std::move(crew);
  }

  void stop() noexcept {
    if (crew_ && !crew_->process.is_this()) abandon();
    if (!crew_) return;
    crew_->call = nullptr;
    crew_->barrier.wait();
    for (std::thread& worker : crew_->workers) worker.join();
    crew_.reset();
  }

  std::size_t threads_;
  std::unique_ptr<Crew> crew_{};
};

}  // namespace bimtdp
