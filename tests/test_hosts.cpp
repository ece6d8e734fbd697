// SPDX-License-Identifier: Apache-2.0
// What programs around the library do to it: static objects, signals, affinity that changes, small stacks, many threads, fork.
#include <bimtdp/bimtdp.hpp>

#include "catch.hpp"
#include "graphs.hpp"
#include "model_file.hpp"

#include <atomic>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#ifdef __linux__
#include <pthread.h>
#include <sched.h>
#include <sys/time.h>

#include <csignal>
#endif

using namespace bimtdp;

namespace {

std::vector<std::string> digests(const Predictions& predictions) {
  std::vector<std::string> result;
  for (const Predictions::Task& task : predictions) result.push_back(digest(std::as_bytes(task.map.span())));
  return result;
}

// Made before main(), unless BIMTDP_ISA names a tier that this CPU does not run: then main() says so.
bool tier_runs() {
  try {
    return static_cast<void>(simd::selected()), true;
  } catch (const Error&) {
    return false;
  }
}
const Image photo = test::noise_photo(64, 96);
const Model model(test::every_operation());
const std::vector<std::string> expected =
    tier_runs() ? digests(Runner(model, {.threads = 2}).run(photo)) : std::vector<std::string>{};
std::optional<Runner> static_runner = tier_runs() ? std::optional<Runner>(Runner(model, {.threads = 2})) : std::nullopt;

}  // namespace

TEST_CASE("static objects run before main, in it, and end after it") {
  CHECK(digests(static_runner->run(photo)) == expected);
  CHECK(digests(Runner(model, {.threads = 1}).run(photo)) == expected);
}

TEST_CASE("sixteen threads run one model while others load") {
  const std::vector<std::byte> bytes = test::model_file(test::small_network()).bytes();
  std::atomic<int> same{0}, loaded{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 16; ++t)
    threads.emplace_back([&] {
      Runner runner(model, {.threads = 2});
      for (int i = 0; i < 2; ++i) same += digests(runner.run(photo)) == expected;
    });
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 4; ++i) loaded += Model::load(bytes).verify_self_test().ok();
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(same == 32);
  CHECK(loaded == 16);
}

#ifdef __linux__

namespace {

std::atomic<int> signals{0};

/// A signal every few hundred microseconds, as a profiler's or a media framework's timer.
class Alarms {
 public:
  Alarms() {
    struct sigaction action {};
    action.sa_handler = [](int) { ++signals; };  // without SA_RESTART: waiting calls are interrupted
    sigaction(SIGALRM, &action, &before_);
    set(300);
  }
  Alarms(const Alarms&) = delete;
  Alarms& operator=(const Alarms&) = delete;
  ~Alarms() {
    set(0);
    sigaction(SIGALRM, &before_, nullptr);
  }

 private:
  static void set(suseconds_t every) {
    const itimerval timer{{0, every}, {0, every}};
    setitimer(ITIMER_REAL, &timer, nullptr);
  }
  struct sigaction before_ {};
};

}  // namespace

TEST_CASE("signals disturb nothing") {
  const Alarms alarms;
  Runner runner(model, {.threads = 2});
  const int before = signals;
  while (signals < before + 50) CHECK(digests(runner.run(photo)) == expected);
}

TEST_CASE("affinity that changes under way costs time and no bits") {
  std::thread([] {
    cpu_set_t all, one;
    REQUIRE(sched_getaffinity(0, sizeof all, &all) == 0);
    CPU_ZERO(&one);
    CPU_SET(static_cast<std::size_t>(sched_getcpu()), &one);
    Runner runner(model, {.threads = 2});
    for (const cpu_set_t* set : {&one, &all, &one}) {
      sched_setaffinity(0, sizeof *set, set);
      CHECK(digests(runner.run(photo)) == expected);
    }
  }).join();
}

#ifndef BIMTDP_SANITIZED  // whose frames are larger

TEST_CASE("64 KiB of stack are enough to load, plan, run and verify") {
  static const std::vector<std::byte> bytes = test::model_file(test::every_operation()).bytes();
  static std::vector<std::string> maps;
  static bool verified = false;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  REQUIRE(pthread_attr_setstacksize(&attributes, 64 << 10) == 0);
  pthread_t thread;
  const auto work = [](void*) -> void* {
    const Model loaded = Model::load(bytes);
    verified = loaded.verify_self_test().ok();
    maps = digests(Runner(loaded, {.threads = 2}).run(photo));
    return nullptr;
  };
  REQUIRE(pthread_create(&thread, &attributes, work, nullptr) == 0);
  pthread_join(thread, nullptr);
  CHECK(verified);
  CHECK(maps == expected);
}

#endif
#endif
