// SPDX-License-Identifier: Apache-2.0
// Every op on every table against what PyTorch made of the same inputs (tests/python/make_op_fixtures.py).
// Bits, integers, copies and maxima must be equal; floats within 1e-5 of the largest value.
#include "ops_testing.hpp"

#include <bimtdp/io/safetensors.hpp>
#include <bimtdp/ops/activation.hpp>
#include <bimtdp/ops/binarize.hpp>
#include <bimtdp/ops/binary_attention.hpp>
#include <bimtdp/ops/concat.hpp>
#include <bimtdp/ops/conv2d.hpp>
#include <bimtdp/ops/l2_normalize.hpp>
#include <bimtdp/ops/linear.hpp>
#include <bimtdp/ops/pool.hpp>
#include <bimtdp/ops/resize.hpp>
#include <bimtdp/ops/softmax.hpp>
#include <bimtdp/ops/squeeze_excite.hpp>

#include <cmath>
#include <map>

using namespace bimtdp;
using namespace bimtdp::ops;
using kernels::KernelTable;

namespace {

/// One case of the fixture: its parts by name.
class Case {
 public:
  Case(const SafeTensors& file, std::string prefix) : file_(&file), prefix_(std::move(prefix)) {}

  [[nodiscard]] std::vector<float> values(const std::string& part) const {
    const auto all = to_floats(file_->at(prefix_ + part), "test");
    return {all.begin(), all.end()};
  }
  [[nodiscard]] std::size_t option(std::size_t i) const { return static_cast<std::size_t>(values("options").at(i)); }
  [[nodiscard]] const std::vector<std::size_t>& shape(const std::string& part) const { return file_->at(prefix_ + part).shape; }
  [[nodiscard]] Tensor<float> map(const std::string& part) const {
    const auto& extents = shape(part);
    Tensor<float> result({extents.at(0), extents.at(1), extents.at(2)});
    const auto all = values(part);
    std::copy(all.begin(), all.end(), result.data());
    return result;
  }
  [[nodiscard]] Window window() const {
    return {{option(0), option(1)}, {option(2), option(3)}, {option(4), option(5)}, {option(6), option(7), option(8), option(9)}};
  }

 private:
  const SafeTensors* file_;
  std::string prefix_;
};

/// +-1 weights [filters*taps][channels] as words.
std::vector<std::uint64_t> words_of(std::span<const float> weights, std::size_t channels) {
  Tensor<float> map({1, weights.size() / channels, channels});
  std::copy(weights.begin(), weights.end(), map.data());
  const auto bits = pack<std::uint64_t>(map);
  return {bits.span().begin(), bits.span().end()};
}

void expect_near(const Tensor<float>& got, const Tensor<float>& expected) {
  REQUIRE(got.shape() == expected.shape());
  float largest = 0, worst = 0;
  for (std::size_t i = 0; i < got.span().size(); ++i) {
    largest = std::max(largest, std::abs(expected.data()[i]));
    worst = std::max(worst, std::abs(got.data()[i] - expected.data()[i]));
  }
  CHECK(worst <= 1e-5F * largest);
}

void expect_equal(const Tensor<float>& got, const Tensor<float>& expected) {
  REQUIRE(got.shape() == expected.shape());
  CHECK(std::equal(got.span().begin(), got.span().end(), expected.span().begin()));
}

template <class Op, class... Inputs>
Tensor<float> run(const Op& op, const KernelTable& table, const Shape& out_shape, std::size_t bytes, const Inputs&... inputs) {
  Tensor<float> out(out_shape);
  op.run(inputs..., out.view(), OwnWorkspace(table, bytes));
  return out;
}

void binary_conv2d_case(const Case& c, const KernelTable& table) {
  const auto& shape = c.shape("weight");
  const std::vector<std::uint64_t> words = words_of(c.values("weight"), shape[3]);
  const std::vector<float> scale = c.values("scale"), bias = c.values("bias");
  const BitTensor<std::uint32_t> in = pack<std::uint32_t>(c.map("x"));
  BinaryConv2dParameters p{c.window(), c.option(10), in.shape().channels, shape[0], words, {}};
  const Tensor<std::int32_t> dots = binary_conv2d_integer(in, p, table);
  Tensor<float> dots_as_floats(dots.shape());
  std::copy_n(dots.data(), dots.span().size(), dots_as_floats.data());
  expect_equal(dots_as_floats, c.map("dots"));
  p.epilogue.scale = scale, p.epilogue.bias = bias;
  CHECK(binary_conv2d_bits(in, p, table) == pack<std::uint32_t>(c.map("bits")));
  expect_near(binary_conv2d(in, p, table), c.map("floats"));
}

void binary_attention_case(const Case& c, const KernelTable& table) {
  const auto& shape = c.shape("x");  // sources, height, width, channels
  const std::size_t channels = shape[3], pixels = shape[1] * shape[2];
  std::vector<BitTensor<std::uint32_t>> sources;
  std::vector<BitView<const std::uint32_t>> views;
  const std::vector<float> x = c.values("x"), alpha = c.values("alpha");
  for (std::size_t s = 0; s < shape[0]; ++s) {
    Tensor<float> map({shape[1], shape[2], channels});
    std::copy_n(x.begin() + static_cast<std::ptrdiff_t>(s * pixels * channels), pixels * channels, map.data());
    sources.push_back(pack<std::uint32_t>(map));
  }
  views.assign(sources.begin(), sources.end());
  const std::vector<std::uint64_t> gate_words = words_of(c.values("gates"), channels),
                                   message_words = words_of(c.values("messages"), channels);
  const std::size_t each = channels * 9 * words_for<std::uint64_t>(channels);
  std::vector<std::size_t> targets;
  for (const float t : c.values("options")) targets.push_back(static_cast<std::size_t>(t));
  std::vector<AttentionConv> gates, messages;
  for (std::size_t k = 0; k < targets.size(); ++k) gates.push_back({std::span(gate_words).subspan(k * each, each), {}, {}, {}});
  for (std::size_t s = 0; s < sources.size(); ++s)
    messages.push_back(
        {std::span(message_words).subspan(s * each, each), std::span(alpha).subspan(s * channels, channels), {}, {}});
  BinaryAttentionParameters p;
  p.channels = channels, p.sources = sources.size(), p.targets = targets;
  p.window = {{3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}};
  p.gates = gates, p.messages = messages;
  const BinaryAttention op(table, p);
  BitTensor<std::uint32_t> out(op.output_shape(sources[0].shape()));
  op.run(views, {}, out.view(), OwnWorkspace(table, op.scratch_bytes(sources[0].shape())));
  CHECK(out == pack<std::uint32_t>(c.map("bits")));
}

void conv2d_case(const Case& c, const KernelTable& table) {
  const auto& shape = c.shape("weight");
  const std::vector<float> weight = c.values("weight"), scale = c.values("scale"), bias = c.values("bias");
  const Tensor<float> x = c.map("x"), residual = c.map("residual");
  const auto kind = c.option(11) != 0 ? kernels::ActivationKind::relu6 : kernels::ActivationKind::none;
  const Conv2d conv(table, {c.window(), c.option(10), x.shape().channels, shape[0], weight, {{}, scale, bias, {kind, {}, {}, {}}}});
  Tensor<float> out(conv.output_shape(x.shape()));
  conv.run(x, out, OwnWorkspace(table, conv.scratch_bytes(x.shape())), residual);
  expect_near(out, c.map("y"));
}

void squeeze_excite_case(const Case& c, const KernelTable& table) {
  const auto w1 = c.values("reduce_weight"), b1 = c.values("reduce_bias"), w2 = c.values("expand_weight"),
             b2 = c.values("expand_bias");
  expect_near(squeeze_excite(c.map("x"), {b2.size(), b1.size(), w1, b1, w2, b2}, table), c.map("y"));
}

void linear_case(const Case& c, const KernelTable& table) {
  const auto weight = c.values("weight"), bias = c.values("bias");
  expect_near(linear(c.map("x"), {c.shape("weight")[1], c.shape("weight")[0], weight, bias, {}}, table), c.map("y"));
}

void activation_case(const Case& c, const KernelTable& table) {
  const auto slope = c.values("slope"), in = c.values("shift_in"), out = c.values("shift_out");
  ActivationParameters p{static_cast<kernels::ActivationKind>(c.option(0)), {}, {}, {}};
  if (p.kind >= kernels::ActivationKind::prelu) p.slope = slope;
  if (p.kind == kernels::ActivationKind::rprelu) p.shift_in = in, p.shift_out = out;
  const Tensor<float> x = c.map("x");
  expect_near(run(Activation(p, x.shape().channels), table, x.shape(), 0, x), c.map("y"));
}

void resize_nearest_case(const Case& c, const KernelTable& table) {
  const Tensor<float> x = c.map("x"), y = c.map("y");
  expect_equal(resize_nearest(x, y.shape().height, y.shape().width, table), y);
  CHECK(resize_nearest(pack<std::uint32_t>(x), y.shape().height, y.shape().width, table) == pack<std::uint32_t>(y));
}

void max_pool2d_case(const Case& c, const KernelTable& table) {
  expect_equal(max_pool2d(c.map("x"), c.window(), table), c.map("y"));
  CHECK(max_pool2d(pack<std::uint32_t>(c.map("x")), c.window(), table) == pack<std::uint32_t>(c.map("y")));
}

using Check = void (*)(const Case&, const KernelTable&);

const std::map<std::string, Check> checks{
    {"binary_conv2d", binary_conv2d_case},
    {"binary_attention", binary_attention_case},
    {"conv2d", conv2d_case},
    {"squeeze_excite", squeeze_excite_case},
    {"linear", linear_case},
    {"activation", activation_case},
    {"resize_nearest", resize_nearest_case},
    {"max_pool2d", max_pool2d_case},
    {"resize_bilinear",
     [](const Case& c, const KernelTable& table) {
       const Tensor<float> y = c.map("y");
       expect_near(resize_bilinear(c.map("x"), y.shape().height, y.shape().width, table), y);
     }},
    {"avg_pool2d",
     [](const Case& c, const KernelTable& table) {
       expect_near(average_pool2d(c.map("x"), c.window(), c.option(10) != 0, table), c.map("y"));
     }},
    {"adaptive_avg_pool2d",
     [](const Case& c, const KernelTable& table) {
       expect_near(adaptive_average_pool2d(c.map("x"), c.option(0), c.option(1), table), c.map("y"));
     }},
    {"softmax",
     [](const Case& c, const KernelTable& table) {
       expect_near(run(Softmax(c.option(0)), table, c.map("x").shape(), 0, c.map("x")), c.map("y"));
     }},
    {"l2_normalize",
     [](const Case& c, const KernelTable& table) {
       expect_near(run(L2Normalize(), table, c.map("x").shape(), 0, c.map("x")), c.map("y"));
     }},
    {"binarize",
     [](const Case& c, const KernelTable& table) {
       CHECK(binarize(c.map("x"), {c.map("x").shape().channels, {}, {}}, table) == pack<std::uint32_t>(c.map("bits")));
     }},
};

}  // namespace

TEST_CASE("every op gives PyTorch's result on every table") {
  const SafeTensors file = SafeTensors::read(BIMTDP_TEST_DATA "/ops.safetensors");
  std::map<std::string, std::size_t> seen;
  for (const StoredTensor& tensor : file.tensors()) {
    const std::string ending = ".options";
    if (!tensor.name.ends_with(ending)) continue;
    const std::string name = tensor.name.substr(0, tensor.name.size() - ending.size()), op = name.substr(name.find('.') + 1);
    INFO(name);
    REQUIRE(checks.contains(op));
    for (const KernelTable* table : testing::all_tables()) {
      INFO(table->name);
      checks.at(op)(Case(file, name + "."), *table);
    }
    ++seen[op];
  }
  for (const auto& [op, check] : checks) {
    INFO(op);
    CHECK(seen[op] > 0);
  }
}
