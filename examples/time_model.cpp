// SPDX-License-Identifier: Apache-2.0
// time_model MODEL HEIGHT WIDTH [THREADS [RUNS]]: how long one photo takes, as a line of JSON: the shortest and the median of
// RUNS runs (20) on THREADS threads (1), after a first run that sets everything up. scripts/results.py reads it.
#include <bimtdp/bimtdp.hpp>

#include "program.hpp"

#include <algorithm>
#include <chrono>
#include <iostream>
#include <random>
#include <string>
#include <vector>

namespace {

using namespace bimtdp;

/// Milliseconds that `work` takes.
template <class F>
double timed(F&& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

/// A photo of noise: the time does not depend on what is in it.
Image noise(std::size_t height, std::size_t width) {
  Image photo({height, width, 3});
  std::mt19937 generator(1);
  for (std::uint8_t& value : photo.span()) value = static_cast<std::uint8_t>(generator() & 255U);
  return photo;
}

int run(const std::vector<std::string>& arguments) {
  if (arguments.size() < 3 || arguments.size() > 5) {
    std::cerr << "usage: time_model MODEL HEIGHT WIDTH [THREADS [RUNS]]\n";
    return 2;
  }
  const Image photo = noise(std::stoul(arguments[1]), std::stoul(arguments[2]));
  const std::size_t threads = arguments.size() > 3 ? std::stoul(arguments[3]) : 1;
  const std::size_t runs = std::max<std::size_t>(1, arguments.size() > 4 ? std::stoul(arguments[4]) : 20);
  Runner runner(Model::load(arguments[0]), RunnerOptions{.threads = threads});
  runner.run(photo);
  std::vector<double> times(runs);
  for (double& time : times) time = timed([&] { runner.run(photo); });
  std::sort(times.begin(), times.end());
  std::cout << "{\"milliseconds\": " << times.front() << ", \"median\": " << times[runs / 2] << ", \"runs\": " << runs
            << ", \"threads\": " << runner.threads() << ", \"tier\": \"" << kernels::active().name << "\"}\n";
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return example::run_program("time_model", 1, [&] { return run({argv + 1, argv + argc}); });
}
