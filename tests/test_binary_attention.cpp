// SPDX-License-Identifier: Apache-2.0
#include "errors.hpp"
#include "ops_testing.hpp"

#include <bimtdp/ops/binary_attention.hpp>
#include <bimtdp/simd/target.hpp>

#include <cmath>
#include <limits>

using namespace bimtdp;
using namespace bimtdp::ops;
using test::error_of;
using test::holds;
using testing::Random;
using Bits = BitTensor<std::uint32_t>;

namespace {

struct ConvData {
  std::vector<std::uint64_t> weights;
  std::vector<float> alpha, scale, bias;
  [[nodiscard]] AttentionConv view() const { return {weights, alpha, scale, bias}; }
};

/// Parameters, the data behind them, and inputs.
struct Case {
  BinaryAttentionParameters p;
  std::vector<std::size_t> targets;
  std::vector<ConvData> gate_data, message_data;
  std::vector<AttentionConv> gates, messages;
  std::vector<Bits> sources;
  std::vector<Tensor<float>> identities;
  std::vector<BitView<const std::uint32_t>> source_views;
  std::vector<TensorView<const float>> identity_views;
};

ConvData random_conv(Random& random, const Case& test) {
  ConvData conv{random.weight_words(test.p.channels, test.p.window.taps(), test.p.channels), {}, {}, {}};
  if (random.coin()) conv.alpha = random.reals(test.p.channels, 0.2F);
  if (random.coin()) conv.scale = random.reals(test.p.channels), conv.bias = random.reals(test.p.channels, 3.0F);
  return conv;
}

void randomize(Case& test, Random& random, const Shape& shape) {
  const std::size_t all = test.p.sources, pairs = test.targets.size() * (all - 1);
  test.p.channels = shape.channels;
  test.p.targets = test.targets;
  const std::size_t messages = test.p.message_weights == MessageWeights::per_source ? all : pairs;
  const std::size_t gates = test.p.gate_source == GateSource::target ? test.targets.size() : messages;
  for (std::size_t i = 0; i < gates; ++i) test.gate_data.push_back(random_conv(random, test));
  for (std::size_t i = 0; i < messages; ++i) test.message_data.push_back(random_conv(random, test));
  for (const ConvData& conv : test.gate_data) test.gates.push_back(conv.view());
  for (const ConvData& conv : test.message_data) test.messages.push_back(conv.view());
  test.p.gates = test.gates, test.p.messages = test.messages;
  for (std::size_t s = 0; s < all; ++s) test.sources.push_back(random.bits(shape));
  if (test.p.identity == Identity::real)
    for (std::size_t k = 0; k < test.targets.size(); ++k) test.identities.push_back(random.floats(shape, 2.0F));
  for (const Bits& source : test.sources) test.source_views.push_back(source);
  for (const auto& identity : test.identities) test.identity_views.push_back(identity);
}

BIMTDP_EXACT_BEGIN
/// alpha, scale and bias of one convolution at one output element: the definition on +-1 values.
float conv_at(const Bits& in, const AttentionConv& conv, const Window& window, std::size_t y, std::size_t x, std::size_t o) {
  const std::size_t channels = in.shape().channels, words = words_for<std::uint64_t>(channels);
  int dot = 0;
  testing::for_each_tap(in.shape(), window, y, x, [&](std::size_t ky, std::size_t kx, std::size_t row, std::size_t column) {
    const std::uint64_t* w = conv.weights.data() + (o * window.taps() + ky * window.kernel[1] + kx) * words;
    for (std::size_t c = 0; c < channels; ++c) dot += in(row, column, c) == ((w[c / 64] >> (c % 64) & 1U) != 0) ? 1 : -1;
  });
  float value = static_cast<float>(dot);
  if (!conv.alpha.empty()) value = value * conv.alpha[o];
  if (!conv.scale.empty()) value = std::fma(value, conv.scale[o], conv.bias[o]);
  return value;
}

/// Eq. (3) before the outer sign, for one element of target k.
float element(const Case& test, std::size_t k, std::size_t y, std::size_t x, std::size_t c) {
  const BinaryAttentionParameters& p = test.p;
  const std::size_t self = test.targets[k];
  std::size_t pair = k * (p.sources - 1);
  float sum = 0;
  bool first = true;
  for (std::size_t s = 0; s < p.sources; ++s) {
    if (s == self) continue;
    const std::size_t index = p.message_weights == MessageWeights::per_source ? s : pair++;
    float message = conv_at(test.sources[s], test.messages[index], p.window, y, x, c);
    if (p.gate_source == GateSource::source && !(conv_at(test.sources[s], test.gates[index], p.window, y, x, c) >= 0)) message = 0;
    sum = first ? message : sum + message;
    first = false;
  }
  if (!first && p.gate_source == GateSource::target && !(conv_at(test.sources[self], test.gates[k], p.window, y, x, c) >= 0))
    sum = 0;
  const float identity = p.identity == Identity::real ? test.identities[k](y, x, c) : test.sources[self](y, x, c) ? 1.0F : -1.0F;
  return first ? identity : identity + sum;
}
BIMTDP_EXACT_END

void check_case(const Case& test) {
  const Shape shape = test.sources[0].shape();
  Tensor<float> sums({shape.height, shape.width, shape.channels * test.targets.size()});
  for (std::size_t k = 0; k < test.targets.size(); ++k)
    for (std::size_t y = 0; y < shape.height; ++y)
      for (std::size_t x = 0; x < shape.width; ++x)
        for (std::size_t c = 0; c < shape.channels; ++c) sums(y, x, k * shape.channels + c) = element(test, k, y, x, c);
  const auto expect = [&](const auto& expected) {
    const auto make = [&](const kernels::KernelTable& table) { return BinaryAttention(table, test.p); };
    const auto scratch = [&](const BinaryAttention& op) {
      CHECK(op.output_shape(shape) == sums.shape());
      return op.scratch_bytes(shape);
    };
    testing::expect_everywhere(expected, make, scratch,
                               [&](const BinaryAttention& op, const auto& out, const Workspace& workspace) {
                                 op.run(test.source_views, test.identity_views, out, workspace);
                               });
    testing::expect_rows_everywhere(expected, make, scratch,
                                    [&](const BinaryAttention& op, std::size_t first, const auto& out, const Workspace& workspace) {
                                      op.run_rows(test.source_views, test.identity_views, first, out, workspace);
                                    });
  };
  if (test.p.outer_sign)
    expect(pack<std::uint32_t>(sums));
  else
    expect(sums);
}

}  // namespace

TEST_CASE("binary_attention: every option, 1 to 5 sources") {
  Random random(61);
  for (std::size_t sources = 1; sources <= 5; ++sources)
    for (const bool subset : {false, true})
      for (const auto gate : {GateSource::target, GateSource::source})
        for (const auto weights : {MessageWeights::per_source, MessageWeights::pairwise})
          for (const auto identity : {Identity::binary, Identity::real})
            for (const bool outer : {true, false}) {
              if (subset && sources < 3) continue;
              Case test;
              test.p.sources = sources;
              if (subset)
                test.targets = {sources - 1, 1};  // some tasks are auxiliary only, order of its own
              else
                for (std::size_t s = 0; s < sources; ++s) test.targets.push_back(s);
              test.p.gate_source = gate, test.p.message_weights = weights, test.p.identity = identity, test.p.outer_sign = outer;
              test.p.window = random.coin() ? Window{{3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}} : Window{{1, 1}, {1, 1}, {1, 1}, {}};
              const Shape shape{random.in(1, 5), random.in(1, 7), random.in(1, 70)};
              randomize(test, random, shape);
              INFO(sources << " sources, subset " << subset << ", gate source " << int(gate) << ", weights " << int(weights)
                           << ", identity " << int(identity) << ", outer " << outer << ", " << shape);
              check_case(test);
            }
}

TEST_CASE("binary_attention: asymmetric windows and wide rows") {
  Random random(62);
  for (const Window& window : {Window{{2, 4}, {1, 1}, {1, 1}, {1, 0, 3, 0}}, Window{{5, 3}, {1, 1}, {1, 1}, {2, 2, 0, 2}}}) {
    Case test;
    test.p.sources = 3;
    test.targets = {0, 1, 2};
    test.p.window = window;
    randomize(test, random, {4, 150, 18});
    check_case(test);
  }
}

TEST_CASE("binary_attention: a message that no target uses may be missing") {
  Random random(63);
  Case test;
  test.p.sources = 2;
  test.targets = {1};
  test.p.window = {{3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}};
  randomize(test, random, {3, 4, 20});
  test.messages[1] = {};
  check_case(test);
}

TEST_CASE("binary_attention: errors") {
  Random random(64);
  Case test;
  test.p.sources = 3;
  test.targets = {0, 2};
  test.p.window = {{3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}};
  randomize(test, random, {3, 4, 20});
  const auto& table = kernels::reference_table();
  const auto make = [&](auto change) {
    BinaryAttentionParameters p = test.p;
    change(p);
    return BinaryAttention(table, p);
  };
  const std::size_t far_target[] = {0, 3};
  CHECK_THROWS_AS(make([](auto& p) { p.sources = 0; }), Error);
  CHECK_THROWS_AS(make([](auto& p) { p.targets = {}; }), Error);
  CHECK_THROWS_AS(make([&](auto& p) { p.targets = far_target; }), Error);
  CHECK_THROWS_AS(make([](auto& p) { p.gates = p.gates.first(1); }), Error);
  CHECK_THROWS_AS(make([](auto& p) { p.messages = p.messages.first(2); }), Error);
  CHECK_THROWS_AS(make([](auto& p) { p.window.stride = {2, 2}; }), Error);
  CHECK_THROWS_AS(make([](auto& p) { p.channels = 19; }), Error);
  CHECK_THROWS_AS(make([](auto& p) { p.window.padding = {}; }), Error);

  const BinaryAttention op(table, test.p);
  const Shape out_shape = op.output_shape({3, 4, 20});
  Bits out(out_shape);
  Tensor<float> floats(out_shape);
  AlignedVector<std::byte> scratch(op.scratch_bytes({3, 4, 20}));
  const Workspace workspace{&table, scratch};
  CHECK_NOTHROW(op.run(test.source_views, {}, out.view(), workspace));
  CHECK_THROWS_AS(op.run(test.source_views, {}, floats.view(), workspace), Error);
  CHECK_THROWS_AS(op.run(test.source_views, {}, out.view().rows(0, 2), workspace), Error);
  CHECK_THROWS_AS(op.run_rows(test.source_views, {}, 2, out.view().rows(0, 2), workspace), Error);
  CHECK_THROWS_AS(op.run(std::span(test.source_views).first(2), {}, out.view(), workspace), Error);
  const TensorView<const float> identities[] = {floats.view(), floats.view()};
  CHECK_THROWS_AS(op.run(test.source_views, identities, out.view(), workspace), Error);
  CHECK_THROWS_AS(op.run(test.source_views, {}, out.view(), {&table, std::span(scratch).first(scratch.size() - 64)}), Error);
}

TEST_CASE("binary_attention: maps that do not fit") {
  Random random(65);
  Case test;
  test.p.sources = 2, test.targets = {0};
  test.p.identity = Identity::real, test.p.outer_sign = false;
  test.p.window = {{3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}};
  randomize(test, random, {3, 4, 20});
  const auto& table = kernels::reference_table();
  const BinaryAttention op(table, test.p);
  CHECK(holds(error_of([&] { (void)op.output_shape({3, 4, 19}); }), {"binary_attention: channels (got 19"}));
  CHECK(holds(error_of([&] { (void)op.output_shape({0, 4, 20}); }), {"binary_attention: empty input"}));

  Tensor<float> out({3, 4, 20}), narrow({3, 3, 20});
  Bits bits({3, 4, 20});
  AlignedVector<std::byte> scratch(op.scratch_bytes({3, 4, 20}));
  const Workspace workspace{&table, scratch};
  const auto& sources = test.source_views;
  const auto& identities = test.identity_views;
  const auto error = [&](const auto& s, const auto& i, const auto& to, const Workspace& with) {
    return error_of([&] { op.run(s, i, to, with); });
  };
  CHECK(error(sources, identities, out.view(), workspace).empty());
  CHECK(holds(error(sources, identities, out.view().rows(0, 2), workspace), {"output shape (got 2x4x20"}));
  CHECK(holds(error(sources, identities, bits.view(), workspace), {"bit output without the outer sign"}));
  CHECK(holds(error(std::span(sources).first(1), identities, out.view(), workspace), {"sources (got 1"}));
  CHECK(holds(error(sources, std::span(identities).first(0), out.view(), workspace), {"real identities (got 0"}));
  const BitView<const std::uint32_t> other_source[] = {sources[0], sources[1].rows(0, 2)};
  CHECK(holds(error(other_source, identities, out.view(), workspace), {"source shape (got 2x4x20"}));
  const TensorView<const float> other_identity[] = {narrow.view()};
  CHECK(holds(error(sources, other_identity, out.view(), workspace), {"identity shape (got 3x3x20"}));
  CHECK(holds(error(sources, identities, out.view(), {nullptr, scratch}), {"no kernels"}));
  const kernels::KernelTable copy = table;
  CHECK(holds(error(sources, identities, out.view(), {&copy, scratch}), {"weights were packed for other kernels"}));
  CHECK(holds(error(sources, identities, out.view(), {&table, std::span(scratch).first(64)}), {"scratch bytes (got 64"}));
  CHECK(holds(error_of([&] { op.run_rows(sources, identities, 2, out.view().rows(0, 2), workspace); }), {"rows (got 2x4x20"}));
}
