// SPDX-License-Identifier: Apache-2.0
// A whole network: bench_network [Google Benchmark's options] MODEL HEIGHT WIDTH THREADS [PROFILE.csv]
//
// One model, size and number of threads a process, so that the memory is theirs alone; BIMTDP_ISA chooses the tier. Counters:
// wall_us, cpu_us and their medians; load_us and first_us (plan and first run); rss_bytes after the runs and peak_rss_bytes;
// plan_bytes, macs, and bound_us, the sum of the bounds of the network's operations. PROFILE.csv gets a line for each node.
#include "samples.hpp"

#include <bimtdp/bimtdp.hpp>

#include <benchmark/benchmark.h>

#include <cstdio>
#include <fstream>
#include <memory>
#include <random>
#include <string>

namespace {

using namespace bimtdp;

/// A line of /proc/self/status in bytes, 0 where there is none.
double status_bytes(const std::string& key) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(key + ":")) return std::stod(line.substr(key.size() + 1)) * 1024.0;
  return 0.0;
}

/// The network after its first run, and what it took to get there.
class Network {
 public:
  Network(const char* path, std::size_t height, std::size_t width, std::size_t threads) {
    const double start = samples::wall();
    const Model model = Model::load(path);
    runner_ = std::make_unique<Runner>(model, RunnerOptions{.threads = threads});
    load_ = samples::wall() - start;
    input_ = Tensor<float>({height, width, model.graph().values()[0].channels});
    std::mt19937 generator(1);
    std::normal_distribution<float> normal;
    for (float& value : input_.span()) value = normal(generator);
    const double first = samples::wall();
    runner_->run(input_);
    first_ = samples::wall() - first;
  }

  void measure(benchmark::State& state) {
    samples::measure(state, [&] { benchmark::DoNotOptimize(&runner_->run(input_)); });
    auto& counters = state.counters;
    counters["load_us"] = load_ * 1e6, counters["first_us"] = first_ * 1e6;
    counters["rss_bytes"] = status_bytes("VmRSS"), counters["peak_rss_bytes"] = status_bytes("VmHWM");
    counters["plan_bytes"] = static_cast<double>(runner_->plan().arena_bytes());
    counters["macs"] = static_cast<double>(runner_->plan().macs());
    counters["bound_us"] = profile().bound() * 1e6;
  }

  /// One line a node: name, microseconds and bound.
  void write_profile(const char* path) {
    std::ofstream file(path);
    file << "node,us,bound_us\n";
    for (const NodeProfile& node : profile().nodes)
      file << node.description << "," << node.seconds * 1e6 << "," << node.bound * 1e6 << "\n";
  }

 private:
  const Profile& profile() {
    if (profile_.nodes.empty()) profile_ = runner_->profile(input_, 2);
    return profile_;
  }

  std::unique_ptr<Runner> runner_;
  Tensor<float> input_;
  double load_ = 0.0, first_ = 0.0;
  Profile profile_{};
};

std::string stem(const std::string& path) {
  const std::string file = path.substr(path.find_last_of('/') + 1);
  return file.substr(0, file.find('.'));
}

int run(int argc, char** argv) {
  if (argc < 5 || argc > 6) {
    std::fprintf(stderr, "usage: bench_network [--benchmark_...] MODEL HEIGHT WIDTH THREADS [PROFILE.csv]\n");
    return 2;
  }
  Network network(argv[1], std::stoul(argv[2]), std::stoul(argv[3]), std::stoul(argv[4]));
  const std::string name =
      std::string("network/") + kernels::active().name + "/" + stem(argv[1]) + "/" + argv[2] + "x" + argv[3] + "/threads" + argv[4];
  benchmark::RegisterBenchmark(name.c_str(), [&](benchmark::State& state) { network.measure(state); })
      ->Unit(benchmark::kMillisecond)
      ->MeasureProcessCPUTime()
      ->UseRealTime();
  benchmark::RunSpecifiedBenchmarks();
  if (argc > 5) network.write_profile(argv[5]);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_network: %s\n", error.what());
    return 1;
  }
}
