// SPDX-License-Identifier: Apache-2.0
// The library's threads: they meet, end with their owner, and bear what hosts do to them.
#include <bimtdp/bimtdp.hpp>
#include <bimtdp/io/digest.hpp>

#include "catch.hpp"
#include "graphs.hpp"

#include <atomic>
#include <csignal>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#ifdef __linux__
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#endif

using namespace bimtdp;

namespace {

std::vector<std::string> digests(const Predictions& predictions) {
  std::vector<std::string> result;
  for (const Predictions::Task& task : predictions) result.push_back(digest(std::as_bytes(task.map.span())));
  return result;
}

const Image& photo() {
  static const Image noise = test::noise_photo(64, 96);
  return noise;
}

const Model& model() {
  static const Model network(test::every_operation());
  return network;
}

const std::vector<std::string>& expected() {
  static const std::vector<std::string> maps = digests(Runner(model(), {.threads = 1}).run(photo()));
  return maps;
}

/// How many threads of `team` there are.
std::size_t members(Team& team) {
  std::atomic<std::size_t> count{0};
  team.run([&](const TeamMember&, Barrier&) { ++count; });
  return count;
}

}  // namespace

TEST_CASE("a team meets at its barrier as often as it likes, run after run") {
  constexpr std::size_t meetings = 2000;
  for (const std::size_t threads : {1u, 2u, 5u}) {
    Team team(threads);
    for (int runs = 0; runs < 3; ++runs) {
      std::atomic<std::size_t> arrived{0}, count{0};
      std::atomic<bool> early{false};
      team.run([&](const TeamMember& member, Barrier& barrier) {
        ++count;
        for (std::size_t i = 1; i <= meetings; ++i) {
          ++arrived;
          barrier.wait();
          if (arrived < i * member.size) early = true;  // somebody left before all had come
          barrier.wait();
        }
      });
      CHECK_FALSE(early);
      CHECK(count == threads);
      CHECK(arrived == meetings * threads);
    }
  }
}

TEST_CASE("members have numbers, the caller 0") {
  Team team(3);
  std::vector<std::thread::id> ids(3);
  team.run([&](const TeamMember& member, Barrier&) { ids[member.thread] = std::this_thread::get_id(); });
  CHECK(ids[0] == std::this_thread::get_id());
  CHECK((ids[1] != ids[0] && ids[2] != ids[0] && ids[1] != ids[2]));
}

TEST_CASE("a team moves with its threads") {
  Team first(3);
  CHECK(members(first) == 3);
  Team second = std::move(first);
  CHECK(members(second) == 3);
  Team third(2);
  CHECK(members(third) == 2);
  third = std::move(second);
  CHECK(members(third) == 3);
  Runner runner(model(), {.threads = 2});
  CHECK(digests(runner.run(photo())) == expected());
  Runner moved = std::move(runner);
  CHECK(digests(moved.run(photo())) == expected());
}

#ifdef __linux__

namespace {

std::size_t threads_of_this_process() {
  const std::filesystem::directory_iterator tasks("/proc/self/task");
  return static_cast<std::size_t>(std::distance(begin(tasks), end(tasks)));
}

/// The exit status of `work` in a child process; one that hangs is ended by its alarm.
template <class Work>
int in_child(Work&& work) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);
    _exit(work());
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

TEST_CASE("threads end with their owner, and none is made before a run") {
  const std::size_t before = threads_of_this_process();
  {
    Runner runner(model(), {.threads = 4});
    (void)runner.plan_for(64, 96);
    CHECK(threads_of_this_process() == before);
    runner.run(photo());
    CHECK(threads_of_this_process() == before + 3);
    runner.run(photo());
    CHECK(threads_of_this_process() == before + 3);
  }
  CHECK(threads_of_this_process() == before);
}

TEST_CASE("signals go to the program's own threads") {
  Team team(3);
  std::atomic<int> open{0};
  team.run([&](const TeamMember&, Barrier&) {
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
    if (sigismember(&blocked, SIGINT) == 0) ++open;
  });
  CHECK(open == 1);
}

#ifndef BIMTDP_SANITIZED  // a sanitizer's own memory and threads do not bear what follows

TEST_CASE("a forked child runs with threads of its own, before and after its parent") {
  Runner runner(model(), {.threads = 3});
  CHECK(digests(runner.run(photo())) == expected());
  CHECK(in_child([&] {
          if (digests(runner.run(photo())) != expected()) return 1;
          if (threads_of_this_process() != 3) return 2;
          return in_child([&] { return digests(runner.run(photo())) == expected() ? 0 : 3; });
        }) == 0);
  CHECK(digests(runner.run(photo())) == expected());
  CHECK(in_child([&] {
          const Runner taken = std::move(runner);  // destroyed without a run: nobody waits for threads that are not there
          return 0;
        }) == 0);
}

TEST_CASE("fewer threads than wanted give the same maps") {
  CHECK(in_child([] {
          Runner runner(model(), {.threads = 8});
          (void)runner.run(test::noise_photo(16, 16));  // one run with all threads, so that all else is allocated
          Runner second(model(), {.threads = 8});
          (void)second.plan_for(64, 96);
          (void)expected();
          std::ifstream pages("/proc/self/statm");
          rlim_t used = 0;
          pages >> used;
          used *= static_cast<rlim_t>(sysconf(_SC_PAGESIZE));
          const rlimit limit{used + (rlim_t{20} << 20), used + (rlim_t{20} << 20)};  // room for two stacks of 8 MiB
          if (setrlimit(RLIMIT_AS, &limit) != 0) return 1;
          if (digests(second.run(photo())) != expected()) return 2;
          return threads_of_this_process() < 1 + 7 + 7 ? 0 : 3;
        }) == 0);
}

#endif
#endif
