// SPDX-License-Identifier: Apache-2.0
// oneDNN's convolutions, fp32 and int8 (u8 in, s8 weights, u8 out), direct and Winograd, on layers named like those of
// bench_kernels: bench_onednn [Google Benchmark's options] 3x3/256x256/56x56 1x1/256x256/56x56 3x3/64x64/56x56/stride2 ...
//
// `best_us` is the processor time of the fastest run of the primitive alone, on memory in the layout it asked for. Set
// OMP_NUM_THREADS=1. DNNL_MAX_CPU_ISA=AVX2 limits it to AVX2.
#include <benchmark/benchmark.h>
#include <dnnl.hpp>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <exception>
#include <optional>
#include <string>
#include <unordered_map>

#include <time.h>

namespace {

using dnnl::memory;

struct Layer {
  int kernel = 0, in = 0, out = 0, height = 0, width = 0, stride = 1, dilation = 1, groups = 1;
};

/// Reads "3x3/IN x OUT/H x W", then /strideN, /dilationN, /groupsN, /depthwise in any order.
std::optional<Layer> parse(const std::string& name) {
  Layer l;
  int second = 0, length = 0;
  if (std::sscanf(name.c_str(), "%dx%d/%dx%d/%dx%d%n", &l.kernel, &second, &l.in, &l.out, &l.height, &l.width, &length) != 6 ||
      second != l.kernel)
    return std::nullopt;
  for (std::string rest = name.substr(static_cast<std::size_t>(length)); !rest.empty();) {
    const std::string option = rest.substr(1, rest.find('/', 1) - 1);
    if (std::sscanf(option.c_str(), "stride%d", &l.stride) != 1 && std::sscanf(option.c_str(), "dilation%d", &l.dilation) != 1 &&
        std::sscanf(option.c_str(), "groups%d", &l.groups) != 1) {
      if (option != "depthwise") return std::nullopt;
      l.groups = l.in;
    }
    rest.erase(0, option.size() + 1);
  }
  return l;
}

struct Types {
  memory::data_type in, weight, out;
};
constexpr Types fp32{memory::data_type::f32, memory::data_type::f32, memory::data_type::f32};
constexpr Types int8{memory::data_type::u8, memory::data_type::s8, memory::data_type::u8};

/// A convolution with a bias and its memory, in the layouts of oneDNN's choice.
class Convolution {
 public:
  Convolution(const Layer& l, const Types& types, dnnl::algorithm algorithm)
      : engine_(dnnl::engine::kind::cpu, 0), stream_(engine_) {
    const int pad = l.kernel / 2 * l.dilation, reach = l.dilation * (l.kernel - 1) + 1;
    const auto extent = [&](int n) { return (n + 2 * pad - reach) / l.stride + 1; };
    const auto any = [](const memory::dims& dims, memory::data_type type) {
      return memory::desc(dims, type, memory::format_tag::any);
    };
    const memory::dims weights = l.groups == 1 ? memory::dims{l.out, l.in, l.kernel, l.kernel}
                                               : memory::dims{l.groups, l.out / l.groups, l.in / l.groups, l.kernel, l.kernel};
    const auto bias = types.in == memory::data_type::u8 ? memory::data_type::s32 : memory::data_type::f32;
    const dnnl::convolution_forward::desc description(
        dnnl::prop_kind::forward_inference, algorithm, any({1, l.in, l.height, l.width}, types.in), any(weights, types.weight),
        any({l.out}, bias), any({1, l.out, extent(l.height), extent(l.width)}, types.out), {l.stride, l.stride},
        {l.dilation - 1, l.dilation - 1}, {pad, pad}, {pad, pad});
    dnnl::primitive_attr attributes;
    if (types.in == memory::data_type::u8) attributes.set_output_scales(0, {0.01f});
    const dnnl::convolution_forward::primitive_desc chosen(description, attributes, engine_);
    primitive_ = dnnl::convolution_forward(chosen);
    name_ = chosen.impl_info_str();
    arguments_ = {{DNNL_ARG_SRC, filled(chosen.src_desc(), 1)},
                  {DNNL_ARG_WEIGHTS, filled(chosen.weights_desc(), 1)},
                  {DNNL_ARG_BIAS, filled(chosen.bias_desc(), 0)},
                  {DNNL_ARG_DST, filled(chosen.dst_desc(), 0)}};
  }
  void run() {
    primitive_.execute(stream_, arguments_);
    stream_.wait();
  }
  [[nodiscard]] const std::string& name() const { return name_; }

 private:
  /// Memory of one repeated byte; times depend on no value but subnormal floats, which bytes of 1 are not.
  [[nodiscard]] memory filled(const memory::desc& desc, int byte) const {
    memory m(desc, engine_);
    std::memset(m.get_data_handle(), byte, desc.get_size());
    return m;
  }

  dnnl::engine engine_;
  dnnl::stream stream_;
  dnnl::convolution_forward primitive_;
  std::unordered_map<int, memory> arguments_;
  std::string name_;
};

/// Processor time of this process in seconds.
double now() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

void measure(benchmark::State& state, const Layer& layer, const Types& types, dnnl::algorithm algorithm) {
  try {
    Convolution convolution(layer, types, algorithm);
    double best = 1e9;
    for (auto _ : state) {
      const double start = now();
      convolution.run();
      best = std::min(best, now() - start);
    }
    state.counters["best_us"] = best * 1e6;
    state.SetLabel(convolution.name());
  } catch (const dnnl::error& error) {
    state.SkipWithError(error.what());  // no such implementation: Winograd of a 1x1 convolution, for instance
  }
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    const std::optional<Layer> layer = parse(name);
    if (!layer) {
      std::fprintf(stderr, "bench_onednn: %s is no layer (expected for instance 3x3/256x256/56x56)\n", argv[i]);
      return 2;
    }
    const auto add = [&](const char* kind, const Types& types, dnnl::algorithm algorithm) {
      benchmark::RegisterBenchmark(("onednn/" + std::string(kind) + "/" + name).c_str(), [=, l = *layer](benchmark::State& s) {
        measure(s, l, types, algorithm);
      })->Unit(benchmark::kMicrosecond);
    };
    add("fp32_direct", fp32, dnnl::algorithm::convolution_direct);
    add("fp32_winograd", fp32, dnnl::algorithm::convolution_winograd);
    add("int8_direct", int8, dnnl::algorithm::convolution_direct);
    add("int8_winograd", int8, dnnl::algorithm::convolution_winograd);
  }
  benchmark::RunSpecifiedBenchmarks();
}
