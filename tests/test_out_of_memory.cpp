// SPDX-License-Identifier: Apache-2.0
// Every allocation fails in turn, once and from there on: the caller gets an exception, nothing leaks, and what was there before
// still works and gives the same bits.
#include <bimtdp/bimtdp.hpp>

#include "allocations.hpp"
#include "catch.hpp"
#include "errors.hpp"
#include "graphs.hpp"
#include "model_file.hpp"

#include <filesystem>
#include <functional>
#include <limits>
#include <new>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

using namespace bimtdp;

namespace {

constexpr std::size_t never = std::numeric_limits<std::size_t>::max();

/// Lets allocation number first (from 1) fail, and those after it up to number last.
struct Failing {
  Failing(std::size_t first, std::size_t last) {
    const std::size_t before = test::allocations;
    test::last_failing = last == never ? never : before + last;
    test::first_failing = before + first;
  }
  ~Failing() { test::first_failing = never; }
};

enum class Outcome { done, refused };

/// Runs `work` with failing allocations. Nothing but Error and std::bad_alloc may come out of it.
Outcome attempt(const std::function<void()>& work, std::size_t first, std::size_t last) {
  const Failing failing(first, last);
  try {
    work();
    return Outcome::done;
  } catch (const std::bad_alloc&) {
  } catch (const Error&) {
  }
  return Outcome::refused;
}

struct Trial {
  std::function<void()> work;
  std::function<void()> before{[] {}}, after{[] {}};  ///< undisturbed; what `before` makes, `after` checks and gives back
};

/// Lets each allocation of the work fail, and of more than `most` those a step apart.
void exhaust(const Trial& trial, std::size_t most = 1500) {
  std::size_t count = 0;
  for (int i = 0; i < 2; ++i) {  // the first time the process allocates some things once for all
    trial.before();
    count = test::allocations;
    trial.work();
    count = test::allocations - count;
    trial.after();
  }
  REQUIRE(count > 0);
  const std::size_t step = count / most + 1;
  for (std::size_t first = 1; first <= count; first += step)
    for (const std::size_t last : {first, never}) {
      const std::ptrdiff_t alive = test::alive;
      trial.before();
      const std::size_t failed = test::failed;
      const Outcome outcome = attempt(trial.work, first, last);
      const bool any_failed = test::failed > failed;  // a profile's runs do not always allocate alike
      trial.after();
      const std::ptrdiff_t leaked = test::alive - alive;
      INFO("allocation " << first << " of " << count << (last == never ? " and all after it" : ""));
      CHECK(leaked == 0);
      if (last == never && any_failed) CHECK(outcome == Outcome::refused);
    }
}

std::vector<std::string> digests(const Predictions& predictions) {
  std::vector<std::string> result;
  for (const Predictions::Task& task : predictions) result.push_back(digest(std::as_bytes(task.map.span())));
  return result;
}

}  // namespace

TEST_CASE("loading") {
  const std::vector<std::byte> small = test::model_file(test::small_network()).bytes();
  exhaust({.work = [&] { (void)Model::load(small); }});
  const std::vector<std::byte> large = test::model_file(test::every_operation()).bytes();
  exhaust({.work = [&] { (void)Model::load(large); }}, 300);
  const std::filesystem::path path = std::filesystem::temp_directory_path() / "bimtdp_test_out_of_memory.safetensors";
  write_file(path, [&](std::ostream& out) { out.write(reinterpret_cast<const char*>(small.data()), std::ssize(small)); });
  exhaust({.work = [&] { (void)Model::load(path); }}, 200);
  std::filesystem::remove(path);
}

TEST_CASE("refusing a file") {
  test::ModelFile file = test::model_file(test::small_network());
  file.text.outputs[0].class_names.pop_back();
  const std::vector<std::byte> bytes = file.bytes();
  const std::string whole = test::error_of([&] { (void)Model::load(bytes); });
  exhaust({.work =
               [&] {
                 try {
                   (void)Model::load(bytes);
                 } catch (const Error& error) {
                   if (whole != error.what()) throw std::logic_error("another message: " + std::string(error.what()));
                 }
               }},
          300);
}

TEST_CASE("preparing a program") {
  const Graph graph = test::every_operation();
  exhaust({.work = [&] { (void)Program(graph); }});
}

TEST_CASE("planning, running and looking at it; the runner lives on") {
  const Model model(test::every_operation());
  const Image photo = test::noise_photo(32, 48), other = test::noise_photo(16, 24);
  const std::vector<std::string> expected = digests(Runner(model, {.threads = 1}).run(photo));
  const std::vector<std::function<void(Runner&)>> works{
      [&](Runner& r) { (void)r.run(other), (void)r.run(photo); }, [&](Runner& r) { (void)r.profile(photo, 2, Rates{}); },
      [&](Runner& r) { (void)r.plan_for(64, 64), (void)r.describe(); }, [&](Runner& r) { (void)predict_photo(r, photo); }};
  for (const std::size_t threads : {1u, 3u})
    for (const auto& work : works) {
      std::optional<Runner> runner;
      const auto make = [&] { runner.emplace(model, RunnerOptions{.threads = threads}); };
      INFO(threads << " threads");
      exhaust({.work = [&] { make(), work(*runner); }, .after = [&] { runner.reset(); }}, 200);
      exhaust({.work = [&] { work(*runner); },
               .before = make,
               .after =
                   [&] {
                     const std::vector<std::string> got = digests(runner->run(photo));
                     if (got != expected) CHECK(got == expected);
                     runner.reset();
                   }},
              200);
    }
}

TEST_CASE("verifying") {
  const Model model = Model::load(test::model_file(test::every_operation()).bytes());
  exhaust({.work = [&] { (void)model.verify_self_test(); }, .after = [&] { CHECK(model.verify_self_test().ok()); }}, 100);
}

TEST_CASE("drawing and writing") {
  const Model model(test::small_network());
  Runner runner(model, {.threads = 1});
  const Image photo = test::noise_photo(32, 48);
  for (const PhotoMap& map : predict_photo(runner, photo)) exhaust({.work = [&] { (void)picture(map, photo); }});
  const std::filesystem::path prefix = std::filesystem::temp_directory_path() / "bimtdp_test_out_of_memory_";
  const Predictions predictions = model.run(photo);
  exhaust({.work = [&] { write_maps(prefix, predictions); }});
  for (const Output& output : model.outputs()) std::filesystem::remove(prefix.string() + output.task + ".npy");
  const Profile profile = runner.profile(photo, 1, Rates{});
  exhaust({.work = [&] {
    std::ostringstream out;
    out.exceptions(std::ios::badbit);
    write_trace(out, profile);
  }});
}

TEST_CASE("a first run allocates what its plan says") {
  for (const Graph& graph : {test::small_network(), test::every_operation()}) {
    for (const std::size_t threads : {1u, 3u}) {
      Runner runner(Model(graph), {.threads = threads});
      const Image photo = test::noise_photo(384, 512);
      const std::size_t before = test::allocated_bytes;
      (void)runner.run(photo);
      const auto said = static_cast<double>(runner.plan().bytes()), got = static_cast<double>(test::allocated_bytes - before);
      CHECK(got >= said);
      CHECK(got <= 1.05 * said);
    }
  }
}
