// SPDX-License-Identifier: Apache-2.0
// A host's rounding mode, flushing of denormals and traps change no result, and come back as they were.
#include <bimtdp/bimtdp.hpp>

#include "catch.hpp"
#include "graphs.hpp"
#include "model_file.hpp"

#include <cfenv>
#include <cstddef>
#include <string>
#include <variant>
#include <vector>

using namespace bimtdp;

namespace {

/// This thread's state until the end, in a host's fashion.
class HostState {
 public:
  HostState(int rounding, bool flush) {
    std::fegetenv(&before_);
    std::fesetround(rounding);
    if (flush) flush_denormals();
  }
  HostState(const HostState&) = delete;
  HostState& operator=(const HostState&) = delete;
  ~HostState() { std::fesetenv(&before_); }

  static bool flushes_denormals() {
    const volatile float small = 2e-38f, quarter = 0.25f;
    return small * quarter == 0.0f;
  }

 private:
  static void flush_denormals() {
#if defined(__x86_64__)
    _mm_setcsr(_mm_getcsr() | 0x8040u);  // FTZ and DAZ
#elif defined(__aarch64__)
    unsigned long control = 0;
    __asm__ volatile("mrs %0, fpcr" : "=r"(control));
    __asm__ volatile("msr fpcr, %0" : : "r"(control | (1ul << 24)));
#endif
  }
  std::fenv_t before_{};
};

/// Digests of what every door of the library makes, from the bytes of a model file to pictures.
std::vector<std::string> everything(const std::vector<std::byte>& file, std::size_t threads) {
  std::vector<std::string> digests;
  const auto add = [&](const auto& values) { digests.push_back(digest(std::as_bytes(values.span()))); };
  const auto add_size = [&](const Size& size) {
    digests.push_back(std::to_string(size.height) + 'x' + std::to_string(size.width));
  };
  const Model model = Model::load(file);
  digests.push_back(model.verify_self_test().ok() ? "verified" : "not verified");
  Runner runner(model, {.threads = threads, .keep_all = true});
  const Image photo = test::noise_photo(37, 53);
  const Size size = size_of(photo.shape());
  const Image input = network_input(model, photo);
  add(input);
  for (const PhotoMap& map : read_maps(model, runner.run(input), size)) {
    std::visit([&](const auto& values) { add(values); }, map.values);
    if (const auto drawn = picture(map, photo)) add(drawn->image);
  }
  for (NodeId id = 0; id < model.graph().nodes().size(); ++id) digests.push_back(digest(runner.value(id).bytes()));
  Tensor<float> tiny({32, 32, 3});  // denormal in every layer before the first sign
  test::Numbers random(5);
  for (float& value : tiny.span()) value = random.next() * 1e-38f;
  for (const Predictions::Task& task : runner.run(tiny)) add(task.map);
  add(runner.run_node(1, std::vector<Value>{Value(tiny)}).ref().to_tensor());
  for (std::size_t side = 1; side < 200; side += 7) {
    add_size(size_within({3 * side, 1000}, 100));
    add_size(network_size({side, 1000}, {}, 4));
  }
  return digests;
}

}  // namespace

TEST_CASE("results do not depend on the caller's floating-point state, which it gets back") {
  const std::vector<std::byte> file = test::model_file(test::every_operation()).bytes();
  const std::vector<std::string> expected = everything(file, 1);
  CHECK(expected[0] == "verified");
  for (const int rounding : {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO})
    for (const bool flush : {false, true})
      for (const std::size_t threads : {1u, 2u}) {
        INFO("rounding " << rounding << (flush ? ", denormals flushed, " : ", ") << threads << " threads");
        const HostState host(rounding, flush);
        const bool flushes = HostState::flushes_denormals();
        std::feraiseexcept(FE_UNDERFLOW);
        const std::vector<std::string> got = everything(file, threads);
        CHECK(std::fegetround() == rounding);
        CHECK(HostState::flushes_denormals() == flushes);
        CHECK(std::fetestexcept(FE_UNDERFLOW) != 0);
        CHECK(got == expected);
      }
}
