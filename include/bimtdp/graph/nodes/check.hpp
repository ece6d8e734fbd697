// SPDX-License-Identifier: Apache-2.0
// NodeCheck: the checks that nodes share, of inputs, weights and activations. Every complaint names the node and the field.
#pragma once

#include <bimtdp/core/shape.hpp>
#include <bimtdp/graph/nodes/spec.hpp>
#include <bimtdp/graph/value.hpp>
#include <bimtdp/graph/weights.hpp>
#include <bimtdp/ops/window_stretches.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bimtdp {

/// How many times each weight's memory its uses may take once packed.
using WeightUses = std::map<std::string, std::size_t, std::less<>>;

/// One node under examination, with what is known of its inputs.
class NodeCheck {
 public:
  NodeCheck(std::string where, const Weights& weights, std::vector<ValueInfo> inputs, WeightUses& uses)
      : where_(std::move(where)), weights_(weights), inputs_(std::move(inputs)), uses_(uses) {}

  [[nodiscard]] const std::string& where() const { return where_; }
  [[nodiscard]] std::size_t input_count() const { return inputs_.size(); }
  [[nodiscard]] const ValueInfo& input(std::size_t i) const { return inputs_[i]; }

  template <class... Parts>
  void demand(bool condition, const Parts&... parts) const {
    bimtdp::demand(condition, where_, parts...);
  }

  void inputs_between(std::size_t least, std::size_t most) const {
    demand(inputs_.size() >= least && inputs_.size() <= most, "number of inputs (got ", inputs_.size(), ", expected ", least,
           least == most ? std::string() : " to " + std::to_string(most), ")");
  }
  void input_type(std::size_t i, ValueType type) const {
    demand(inputs_[i].type == type, "type of input ", i, " (got ", to_string(inputs_[i].type), ", expected ", to_string(type), ")");
  }
  void input_channels(std::size_t i, std::size_t channels) const {
    check_equal(inputs_[i].channels, channels, where_, "channels of input " + std::to_string(i));
  }
  void float_inputs() const {
    for (std::size_t i = 0; i < inputs_.size(); ++i) input_type(i, ValueType::floats);
  }
  /// The one input is a float map; returns its channels.
  [[nodiscard]] std::size_t one_float_input() const {
    inputs_between(1, 1);
    input_type(0, ValueType::floats);
    return inputs_[0].channels;
  }
  void float_or_bits(std::size_t i) const {
    const ValueType type = inputs_[i].type;
    demand(type == ValueType::floats || type == ValueType::bits, "type of input ", i, " (got ", to_string(type),
           ", expected float or bits)");
  }
  /// A second input, where there is one, is a float map with the `channels` of the value.
  void residual(std::size_t channels) const {
    if (inputs_.size() < 2) return;
    input_type(1, ValueType::floats);
    input_channels(1, channels);
  }
  void extent(std::string_view field, std::size_t value, std::size_t least = 1, std::size_t most = max_extent) const {
    demand(value >= least && value <= most, field, " (got ", value, ", expected ", least, " to ", most, ")");
  }
  void extents(std::string_view field, const std::array<std::size_t, 2>& values) const {
    for (const std::size_t value : values) extent(field, value);
  }

  /// Checks the shape of a float weight; its values are finite already.
  void floats(std::string_view field, const WeightName& name, const std::vector<std::size_t>& shape) const {
    use(field, name);
    (void)weights_.floats(name);
    same_shape(field, name, shape);
  }
  void optional_floats(std::string_view field, const WeightName& name, std::size_t channels) const {
    if (!name.empty()) floats(field, name, {channels});
  }

  /// Checks packed signs of `channels` bits a tap: shape, and tail bits 0.
  void signs(std::string_view field, const WeightName& name, std::size_t out, const std::array<std::size_t, 2>& kernel,
             std::size_t channels) const {
    use(field, name);
    const std::span<const std::uint64_t> words = weights_.words(name);
    const std::size_t per_tap = (channels + 63) / 64;
    same_shape(field, name, {out, kernel[0], kernel[1], per_tap});
    if (channels % 64 == 0) return;
    const std::uint64_t tail = ~std::uint64_t{0} << (channels % 64);
    for (std::size_t i = per_tap - 1; i < words.size(); i += per_tap)
      demand((words[i] & tail) == 0, field, " '", name, "': tail bits of word ", i, " (got a 1 behind channel ", channels - 1,
             ", expected 0)");
  }

  /// Packed, every group's output channels fill whole blocks of lanes (but not where each channel is a group of its own), so a
  /// use by narrow groups counts as several.
  void count_idle_lanes(const WeightName& name, std::size_t groups, std::size_t in, std::size_t out) const {
    constexpr std::size_t lanes = kernels::most_lanes;
    const std::size_t group_out = out / groups;
    if (groups == in && groups == out) return;
    const std::size_t filled = (group_out + lanes - 1) / lanes * lanes;
    uses_[name] += (filled + group_out - 1) / group_out - 1;
  }

  /// The first extent of a weight whose shape is checked later: its number of output channels.
  [[nodiscard]] std::size_t output_channels(std::string_view field, const WeightName& name) const {
    exists(field, name);
    const WeightTensor& tensor = weights_.at(name);
    demand(!tensor.shape.empty(), field, " '", name, "' (got no dimensions, expected at least 1)");
    extent("output channels", tensor.shape[0]);
    return tensor.shape[0];
  }

  /// alpha, scale and bias of an epilogue, one value a channel; scale needs bias.
  void epilogue(const WeightName& alpha, const WeightName& scale, const WeightName& bias, std::size_t channels) const {
    optional_floats("alpha", alpha, channels);
    optional_floats("scale", scale, channels);
    optional_floats("bias", bias, channels);
    demand(scale.empty() || !bias.empty(), "scale needs bias (got scale alone, expected both)");
  }

  void activation(const ActivationSpec& a, std::size_t channels) const {
    using kernels::ActivationKind;
    const bool sloped = a.kind == ActivationKind::prelu || a.kind == ActivationKind::rprelu;
    demand(sloped == !a.slope.empty(), "activation: slope belongs to prelu and rprelu (got ", sloped ? "none" : "one",
           ", expected ", sloped ? "one" : "none", ")");
    const bool shifted = a.kind == ActivationKind::rprelu;
    demand(shifted == !a.shift_in.empty() && shifted == !a.shift_out.empty(),
           "activation: shift_in and shift_out belong to rprelu (got ",
           (a.shift_in.empty() ? 0 : 1) + (a.shift_out.empty() ? 0 : 1), " of them, expected ", shifted ? "both" : "none", ")");
    optional_floats("activation slope", a.slope, channels);
    optional_floats("activation shift_in", a.shift_in, channels);
    optional_floats("activation shift_out", a.shift_out, channels);
  }

 private:
  void exists(std::string_view field, const WeightName& name) const {
    demand(!name.empty(), "missing weight: ", field, " (got none, expected the name of one)");
    demand(weights_.contains(name), field, ": no weight '", name, "' (got a name alone, expected a tensor of that name)");
  }
  void use(std::string_view field, const WeightName& name) const {
    exists(field, name);
    ++uses_[name];
  }
  void same_shape(std::string_view field, const WeightName& name, const std::vector<std::size_t>& shape) const {
    const std::vector<std::size_t>& got = weights_.at(name).shape;
    demand(got == shape, field, " '", name, "': shape (got ", shape_text(got), ", expected ", shape_text(shape), ")");
  }

  std::string where_;
  const Weights& weights_;
  std::vector<ValueInfo> inputs_;
  WeightUses& uses_;
};

}  // namespace bimtdp
