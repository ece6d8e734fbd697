// SPDX-License-Identifier: Apache-2.0
#include "random_network.hpp"

#include <bimtdp/graph/graph_builder.hpp>
#include <bimtdp/io/replay.hpp>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

namespace test {

using namespace bimtdp;

std::uint8_t Choices::byte() {
  if (!bytes_.empty()) {
    const std::uint8_t value = bytes_.front();
    bytes_ = bytes_.subspan(1);
    return value;
  }
  return static_cast<std::uint8_t>(splitmix64(state_));
}

std::size_t Choices::below(std::size_t limit) {
  if (limit <= 1) return 0;
  std::size_t value = byte();
  if (limit > 256) value = value * 256 + byte();
  return value % limit;
}

std::vector<float> Choices::numbers(std::size_t count, bool special) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  constexpr std::array<float, 10> rare{
      0.0f, -0.0f, 1e-41f, -3e-39f, 3e38f, -3e38f, infinity, -infinity, std::numeric_limits<float>::quiet_NaN(), 1e-20f};
  std::uint64_t state = byte();
  std::vector<float> values(count);
  for (float& value : values) {
    const std::uint64_t random = splitmix64(state);
    value = special && random % 16 == 0 ? rare[(random >> 4) % rare.size()]
                                        : static_cast<float>(static_cast<int>(random >> 54) - 512) / 512.0f;
  }
  return values;
}

namespace {

using kernels::ActivationKind;

struct Known {
  NodeId id = 0;
  ValueType type = ValueType::floats;
  Shape shape{};
};

/// Adds nodes that fit the values that are there.
class Generator {
 public:
  Generator(Choices& choices, std::uint64_t max_work) : c_(choices), max_work_(max_work) {}

  RandomNetwork make() {
    const Shape input{c_.between(1, 12), c_.between(1, 12), c_.one_in(4) ? c_.between(1, 70) : 3};
    values_.push_back({g_.input(input.channels), ValueType::floats, input});
    const std::size_t nodes = c_.between(1, 14);
    for (std::size_t i = 0; i < 3 * nodes && values_.size() <= nodes; ++i) add_node();
    add_outputs();
    Tensor<float> map(input);
    std::ranges::copy(c_.numbers(input.elements(), c_.one_in(4)), map.data());
    return {g_.build(), std::move(map)};
  }

 private:
  static constexpr std::size_t max_size = 1 << 14;  // elements of a value

  const Known& any() { return values_[values_.size() - 1 - std::min(c_.below(values_.size()), c_.below(values_.size()))]; }
  /// A value of a type, the later ones more often; one is made where a few tries find none.
  Known some(ValueType type) {
    for (int i = 0; i < 4; ++i)
      if (const Known& value = any(); value.type == type) return value;
    if (type == ValueType::floats) return values_.front();
    const Known floats = some(ValueType::floats);
    add(BinarizeNode{}, ValueType::bits, floats.shape.channels, {floats});
    return values_.back();
  }

  /// Adds the node unless its shape is refused, or it is too large.
  template <class N>
  void add(const N& node, ValueType type, std::size_t channels, const std::vector<Known>& inputs) {
    std::vector<Shape> shapes;
    std::vector<NodeId> ids;
    for (const Known& input : inputs) shapes.push_back(input.shape), ids.push_back(input.id);
    Shape shape;
    try {
      shape = NodeTraits<N>::shape(node, NodeShapes{shapes, channels, "random"});
      const Checked work = NodeTraits<N>::work(node, shapes, shape) * shape.elements();
      refused_ = refused_ || shape.elements() > max_size || work.value() > max_work_;
    } catch (const Error&) {
      refused_ = true;
    }
    if (refused_) return;
    values_.push_back({g_.add("n" + std::to_string(values_.size()), node, std::move(ids)), type, shape});
  }

  WeightName floats(std::vector<std::size_t> shape, float scale = 1.0f) {
    std::size_t count = 1;
    for (const std::size_t extent : shape) count *= extent;
    std::vector<float> values = c_.numbers(count);
    for (float& value : values) value *= scale;
    return g_.floats(std::move(shape), values);
  }
  WeightName signs(std::size_t out, const std::array<std::size_t, 2>& kernel, std::size_t in) {
    return g_.signs({out, kernel[0], kernel[1], in}, c_.numbers(out * kernel[0] * kernel[1] * in));
  }
  WeightName maybe(std::size_t channels, float scale = 1.0f) { return c_.one_in(2) ? floats({channels}, scale) : WeightName{}; }
  WeightName bias(const WeightName& scale, std::size_t channels, float factor = 1.0f) {
    return scale.empty() ? maybe(channels, factor) : floats({channels}, factor);
  }
  ActivationSpec activation(std::size_t channels) {
    constexpr std::array kinds{ActivationKind::none,  ActivationKind::none,     ActivationKind::relu,    ActivationKind::relu6,
                               ActivationKind::prelu, ActivationKind::hardtanh, ActivationKind::sigmoid, ActivationKind::rprelu};
    ActivationSpec spec{.kind = kinds[c_.below(kinds.size())]};
    if (spec.kind == ActivationKind::prelu || spec.kind == ActivationKind::rprelu) spec.slope = floats({channels});
    if (spec.kind == ActivationKind::rprelu) spec.shift_in = floats({channels}), spec.shift_out = floats({channels});
    return spec;
  }
  Window window() {
    Window w;
    for (std::size_t i = 0; i < 2; ++i) {
      w.kernel[i] = c_.between(1, c_.one_in(4) ? 5 : 3);
      w.stride[i] = c_.one_in(3) ? c_.between(1, 3) : 1;
      w.dilation[i] = c_.one_in(4) ? c_.between(1, 3) : 1;
    }
    const auto side = [&](std::size_t i) { return c_.below(w.dilation[i] * (w.kernel[i] - 1) + 1); };
    w.padding = {side(0), side(0), side(1), side(1)};
    return w;
  }
  /// A divisor of both.
  std::size_t groups(std::size_t in, std::size_t out) {
    std::size_t count = c_.one_in(2) ? 1 : c_.between(1, in);
    while (in % count != 0 || out % count != 0) --count;
    return count;
  }
  std::size_t out_channels() { return c_.one_in(8) ? c_.between(1, 150) : c_.between(1, 40); }

  void add_conv() {
    const Known in = some(ValueType::floats);
    const std::size_t out = c_.one_in(3) ? in.shape.channels : out_channels();
    Conv2dNode n{.window = window(), .groups = groups(in.shape.channels, out)};
    n.weight = floats({out, n.window.kernel[0], n.window.kernel[1], in.shape.channels / n.groups});
    n.scale = maybe(out), n.bias = bias(n.scale, out), n.activation = activation(out);
    add(n, ValueType::floats, out, with_residual(n.window, in, out));
  }
  void add_binary_conv() {
    const Known in = some(ValueType::bits);
    const std::size_t out = c_.one_in(3) ? in.shape.channels : out_channels();
    BinaryConv2dNode n{.window = window(), .groups = groups(in.shape.channels, out)};
    n.weight = signs(out, n.window.kernel, in.shape.channels / n.groups);
    constexpr std::array outputs{BinaryOutput::floats, BinaryOutput::floats, BinaryOutput::bits, BinaryOutput::integer};
    n.output = outputs[c_.below(outputs.size())];
    if (n.output != BinaryOutput::integer) n.alpha = maybe(out), n.scale = maybe(out), n.bias = bias(n.scale, out, 20.0f);
    if (n.output == BinaryOutput::floats) n.activation = activation(out);
    const ValueType type = n.output == BinaryOutput::bits      ? ValueType::bits
                           : n.output == BinaryOutput::integer ? ValueType::integers
                                                               : ValueType::floats;
    add(n, type, out, type == ValueType::floats ? with_residual(n.window, in, out) : std::vector{in});
  }
  /// The input, and a residual where a value happens to have the output's shape.
  std::vector<Known> with_residual(const Window& window, const Known& in, std::size_t out) {
    std::vector<Known> inputs{in};
    if (c_.one_in(2)) return inputs;
    Shape shape;
    try {
      shape = NodeShapes{std::span(&in.shape, 1), out, "random"}.windowed(window);
    } catch (const Error&) {
      return inputs;
    }
    for (const Known& value : values_)
      if (value.type == ValueType::floats && value.shape == shape) return {in, value};
    return inputs;
  }
  void add_attention() {
    const Known first = some(ValueType::bits);
    std::vector<Known> sources{first}, inputs;
    const std::size_t most = c_.between(1, 4);
    for (const Known& value : values_)
      if (value.type == ValueType::bits && value.shape == first.shape && sources.size() < most) sources.push_back(value);
    BinaryAttentionNode n;
    for (std::size_t t = c_.between(1, std::min<std::size_t>(3, sources.size())); t > 0; --t)
      n.targets.push_back(c_.below(sources.size()));
    n.gate_source = c_.one_in(2) ? GateSource::source : GateSource::target;
    n.message_weights = c_.one_in(2) ? MessageWeights::pairwise : MessageWeights::per_source;
    n.outer_sign = c_.one_in(2);
    if (c_.one_in(2)) n.kernel = {1, 1}, n.padding = {};
    inputs = sources;
    if (c_.one_in(2)) {
      const auto same = [&](const Known& v) { return v.type == ValueType::floats && v.shape == first.shape; };
      const auto found = std::find_if(values_.begin(), values_.end(), same);
      if (found != values_.end()) n.identity = Identity::real, inputs.insert(inputs.end(), n.targets.size(), *found);
    }
    const std::size_t pairs = n.targets.size() * (sources.size() - 1), channels = first.shape.channels;
    const auto convolutions = [&](std::size_t count) {
      std::vector<AttentionConvSpec> list(count);
      for (AttentionConvSpec& conv : list)
        conv = {signs(channels, n.kernel, channels), maybe(channels), maybe(channels), {}}, conv.bias = bias(conv.scale, channels);
      return list;
    };
    const std::size_t messages = n.message_weights == MessageWeights::per_source ? sources.size() : pairs;
    n.gates = convolutions(n.gate_source == GateSource::target ? n.targets.size() : messages);
    n.messages = convolutions(messages);
    add(n, n.outer_sign ? ValueType::bits : ValueType::floats, channels * n.targets.size(), inputs);
  }
  void add_pool() {
    const Known in = some(c_.one_in(3) ? ValueType::bits : ValueType::floats);
    const Window w = window();
    if (in.type == ValueType::bits || c_.one_in(2)) {
      add(MaxPool2dNode{w}, in.type, in.shape.channels, {in});
    } else {
      const auto side = [&](std::size_t i) { return c_.below(w.kernel[i]); };
      const AvgPool2dNode n{.kernel = w.kernel,
                            .stride = w.stride,
                            .padding = {side(0), side(0), side(1), side(1)},
                            .count_include_pad = c_.one_in(2)};
      add(n, in.type, in.shape.channels, {in});
    }
  }
  void add_resize() {
    const Known in = some(c_.one_in(3) ? ValueType::bits : ValueType::floats);
    ResizeNode n{.mode = in.type == ValueType::bits || c_.one_in(2) ? ResizeMode::nearest : ResizeMode::bilinear};
    std::vector<Known> inputs{in};
    switch (c_.below(3)) {
      case 0:
        n.factor = c_.between(1, 4);
        break;
      case 1:
        n.size = {c_.between(1, 20), c_.between(1, 20)};
        break;
      default:
        inputs.push_back(any());
    }
    add(n, in.type, in.shape.channels, inputs);
  }
  void add_join() {
    const Known first = some(c_.one_in(3) ? ValueType::bits : ValueType::floats);
    std::vector<Known> inputs{first};
    std::size_t channels = first.shape.channels;
    for (const Known& value : values_)
      if (value.type == first.type && value.shape.height == first.shape.height && value.shape.width == first.shape.width &&
          c_.one_in(2) && inputs.size() < 6)
        inputs.push_back(value), channels += value.shape.channels;
    add(ConcatNode{}, first.type, channels, inputs);
  }
  void add_slice() {
    const Known in = some(c_.one_in(2) ? ValueType::bits : ValueType::floats);
    const std::size_t begin = c_.below(in.shape.channels), end = c_.between(begin + 1, in.shape.channels);
    add(SliceNode{.begin = begin, .end = end}, in.type, end - begin, {in});
  }
  void add_sum() {
    const Known first = some(ValueType::floats);
    std::vector<Known> inputs{first};
    for (const Known& value : values_)
      if (value.type == ValueType::floats && value.shape == first.shape && c_.one_in(2) && inputs.size() < 5)
        inputs.push_back(value);
    if (inputs.size() == 1) inputs.push_back(first);
    add(AddNode{.activation = activation(first.shape.channels)}, ValueType::floats, first.shape.channels, inputs);
  }
  /// Maps of other sizes brought to one, and some of that size, joined and read: what plans place with the most care.
  void add_pyramid() {
    const Known size = some(ValueType::floats);
    std::vector<Known> inputs;
    std::size_t channels = 0;
    for (std::size_t parts = c_.between(2, 3); parts > 0; --parts) {
      Known part = c_.one_in(2) ? some(ValueType::floats) : size;
      if (part.shape == size.shape) {
        add_activation(part);
        if (c_.one_in(2) && !refused_) add_activation(Known(values_.back()));
      } else {
        add(ResizeNode{.mode = ResizeMode::bilinear}, ValueType::floats, part.shape.channels, {part, size});
      }
      if (refused_) return;
      inputs.push_back(values_.back()), channels += values_.back().shape.channels;
    }
    add(ConcatNode{}, ValueType::floats, channels, inputs);
    if (!refused_) add_activation(Known(values_.back()));  // a copy: values_ grows
  }
  void add_activation(const Known& in) {
    ActivationSpec spec = activation(in.shape.channels);
    if (spec.kind == ActivationKind::none) spec.kind = ActivationKind::relu;
    add(ActivationNode{spec}, in.type, in.shape.channels, {in});
  }
  void add_product() {
    const Known first = some(ValueType::floats);
    std::vector<Known> factors;
    for (const Known& value : values_)
      if (value.type == ValueType::floats && value.shape.channels == first.shape.channels &&
          (value.shape == first.shape || value.shape.pixels() == 1))
        factors.push_back(value);
    add(MultiplyNode{}, ValueType::floats, first.shape.channels, {first, factors[c_.below(factors.size())]});
  }
  void add_pointwise() {
    if (c_.one_in(6)) {
      const Known bits = some(ValueType::bits);
      add(UnpackNode{}, ValueType::floats, bits.shape.channels, {bits});
      return;
    }
    const Known in = some(ValueType::floats);
    const std::size_t channels = in.shape.channels;
    switch (c_.below(5)) {
      case 0:
        add(AffineNode{floats({channels}), floats({channels}), activation(channels)}, in.type, channels, {in});
        return;
      case 1:
        return add_activation(in);
      case 2:
        add(SoftmaxNode{.group = groups(channels, channels)}, in.type, channels, {in});
        return;
      case 3:
        add(L2NormalizeNode{}, in.type, channels, {in});
        return;
      default: {
        const WeightName shift = maybe(channels);
        add(BinarizeNode{.scale = shift.empty() ? WeightName{} : maybe(channels), .shift = shift}, ValueType::bits, channels, {in});
      }
    }
  }
  void add_dense() {
    const Known in = some(ValueType::floats);
    const std::size_t channels = in.shape.channels, out = out_channels();
    if (c_.one_in(2)) {
      add(SqueezeExciteNode{floats({out, channels}), floats({out}), floats({channels, out}), floats({channels})}, in.type, channels,
          {in});
      return;
    }
    const std::array<std::size_t, 2> size{c_.between(1, 3), c_.between(1, 3)};
    if (in.shape.pixels() != 1)
      add(AdaptiveAvgPool2dNode{.size = c_.one_in(4) ? size : std::array<std::size_t, 2>{1, 1}}, in.type, channels, {in});
    const Known& last = values_.back();
    if (last.type == ValueType::floats && last.shape.pixels() == 1)
      add(LinearNode{floats({out, last.shape.channels}), maybe(out), activation(out)}, last.type, out, {last});
  }
  /// One more node, or none where the one that came up does not fit.
  void add_node() {
    const GraphBuilder builder = g_;
    const std::vector<Known> values = values_;
    refused_ = false;
    add_some_node();
    if (refused_) g_ = builder, values_ = values;  // with the weights that were made for it
  }
  void add_some_node() {
    switch (c_.below(17)) {
      case 0:
      case 1:
        return add_conv();
      case 2:
      case 3:
      case 4:
        return add_binary_conv();
      case 5:
      case 6:
        return add_attention();
      case 7:
        return add_pool();
      case 8:
        return add_resize();
      case 9:
        return add_join();
      case 10:
        return add_slice();
      case 11:
        return add_sum();
      case 12:
        return add_product();
      case 13:
        return add_dense();
      case 14:
        return add_pyramid();
      default:
        return add_pointwise();
    }
  }
  /// The last value and some others.
  void add_outputs() {
    for (std::size_t i = values_.size(); i-- > 0;)
      if (i + 1 == values_.size() || c_.one_in(6)) g_.output({.task = "t" + std::to_string(i), .node = values_[i].id});
  }

  Choices& c_;
  std::uint64_t max_work_;
  GraphBuilder g_;
  std::vector<Known> values_;
  bool refused_ = false;
};

}  // namespace

RandomNetwork random_network(Choices& choices, std::uint64_t max_work) { return Generator(choices, max_work).make(); }

RandomNetwork random_network(std::uint64_t seed) {
  std::vector<std::uint8_t> bytes(64);
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(splitmix64(seed));
  Choices choices(bytes);
  return random_network(choices);
}

}  // namespace test
