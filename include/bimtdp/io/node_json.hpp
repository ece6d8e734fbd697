// SPDX-License-Identifier: Apache-2.0
// Nodes from JSON and to JSON: two archives for NodeTraits::fields.
#pragma once

#include <bimtdp/graph/graph.hpp>
#include <bimtdp/io/json_fields.hpp>

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace bimtdp {

namespace detail {

/// Archive that fills a node from a JSON object; see FieldArchive.
class NodeReader {
 public:
  explicit NodeReader(JsonObject& object) : object_(object) {}

  void integer(std::string_view key, std::size_t& value) { value = static_cast<std::size_t>(object_.integer(key, max_extent)); }
  void optional_integer(std::string_view key, std::size_t& value) {
    if (object_.find(key) == nullptr) return;
    integer(key, value);
    demand(value > 0, object_.where(), key, " (got 0, expected at least 1)");
  }
  void pair(std::string_view key, std::array<std::size_t, 2>& values) { numbers(key, object_.array(key, 2, 2), values); }
  void optional_pair(std::string_view key, std::array<std::size_t, 2>& values) {
    if (object_.find(key) == nullptr) return;
    pair(key, values);
    demand(values[0] > 0 && values[1] > 0, object_.where(), key, " (got 0, expected at least 1)");
  }
  void padding(std::string_view key, Padding& p) {
    std::array<std::size_t, 4> sides{};
    numbers(key, object_.array(key, 4, 4), sides);
    p = {sides[0], sides[1], sides[2], sides[3]};
  }
  void window(Window& w) {
    pair("kernel", w.kernel);
    pair("stride", w.stride);
    pair("dilation", w.dilation);
    padding("padding", w.padding);
  }
  void boolean(std::string_view key, bool& value) { value = object_.boolean(key); }
  template <class Enum, std::size_t Count>
  void choice(std::string_view key, Enum& value, const Names<Enum, Count>& names) {
    const std::string text = object_.text(key, 64);
    for (const auto& [name, candidate] : names) {
      if (name != text) continue;
      value = candidate;
      return;
    }
    std::string known;
    for (const auto& entry : names) known += (known.empty() ? "" : ", ") + std::string(entry.first);
    fail(object_.where(), key, " (got '", text, "', expected one of ", known, ")");
  }
  void weight(std::string_view key, WeightName& name) {
    name = object_.text(key, 128);
    demand(is_valid_name(name), object_.where(), key, " (got '", name, "', expected the name of a tensor)");
  }
  void optional_weight(std::string_view key, WeightName& name) {
    if (object_.find(key) != nullptr) weight(key, name);
  }
  void activation(ActivationSpec& spec) {
    JsonObject inner(object_.at("activation"), object_.where() + ": activation");
    NodeReader reader(inner);
    reader.choice("kind", spec.kind, activation_names);
    reader.optional_weight("slope", spec.slope);
    reader.optional_weight("shift_in", spec.shift_in);
    reader.optional_weight("shift_out", spec.shift_out);
    inner.finish();
  }
  void optional_activation(ActivationSpec& spec) {
    if (object_.find("activation") != nullptr) activation(spec);
  }
  void indices(std::string_view key, std::vector<std::size_t>& values) {
    for (const JsonValue& item : object_.array(key, 1, max_inputs))
      values.push_back(static_cast<std::size_t>(object_.to_integer(item, key, max_inputs)));
  }
  void convolutions(std::string_view key, std::vector<AttentionConvSpec>& list) {
    for (const JsonValue& item : object_.array(key, 0, max_inputs * max_inputs)) {
      JsonObject inner(item, object_.where() + ": " + std::string(key));
      NodeReader(inner).convolution(list.emplace_back());
      inner.finish();
    }
  }

 private:
  void convolution(AttentionConvSpec& conv) {
    weight("weight", conv.weight);
    optional_weight("alpha", conv.alpha);
    optional_weight("scale", conv.scale);
    optional_weight("bias", conv.bias);
  }
  template <std::size_t Count>
  void numbers(std::string_view key, const JsonValue::Array& array, std::array<std::size_t, Count>& values) {
    for (std::size_t i = 0; i < Count; ++i) values[i] = static_cast<std::size_t>(object_.to_integer(array[i], key, max_extent));
  }

  JsonObject& object_;
};

/// Archive that writes a node's fields into a JSON object; see FieldArchive.
class NodeWriter {
 public:
  explicit NodeWriter(JsonValue::Object& json) : json_(json) {}

  void integer(const char* key, std::size_t value) { json_[key] = value; }
  void optional_integer(const char* key, std::size_t value) {
    if (value != 0) json_[key] = value;
  }
  void pair(const char* key, const std::array<std::size_t, 2>& values) { json_[key] = JsonValue::array_of(values); }
  void optional_pair(const char* key, const std::array<std::size_t, 2>& values) {
    if (values[0] != 0) pair(key, values);
  }
  void padding(const char* key, const Padding& p) { json_[key] = JsonValue::Array{p.top, p.bottom, p.left, p.right}; }
  void window(const Window& w) {
    pair("kernel", w.kernel);
    pair("stride", w.stride);
    pair("dilation", w.dilation);
    padding("padding", w.padding);
  }
  void boolean(const char* key, bool value) { json_[key] = value; }
  template <class Enum, std::size_t Count>
  void choice(const char* key, Enum value, const Names<Enum, Count>& names) {
    for (const auto& [name, candidate] : names)
      if (candidate == value) json_[key] = name;
  }
  void weight(const char* key, const WeightName& name) { json_[key] = name; }
  void optional_weight(const char* key, const WeightName& name) {
    if (!name.empty()) json_[key] = name;
  }
  void activation(const ActivationSpec& spec) {
    JsonValue::Object inner;
    NodeWriter writer(inner);
    writer.choice("kind", spec.kind, activation_names);
    writer.optional_weight("slope", spec.slope);
    writer.optional_weight("shift_in", spec.shift_in);
    writer.optional_weight("shift_out", spec.shift_out);
    json_["activation"] = std::move(inner);
  }
  void optional_activation(const ActivationSpec& spec) {
    if (spec.kind != kernels::ActivationKind::none) activation(spec);
  }
  void indices(const char* key, const std::vector<std::size_t>& values) { json_[key] = JsonValue::array_of(values); }
  void convolutions(const char* key, const std::vector<AttentionConvSpec>& list) {
    JsonValue::Array items;
    for (const AttentionConvSpec& conv : list) {
      JsonValue::Object inner;
      NodeWriter(inner).convolution(conv);
      items.emplace_back(std::move(inner));
    }
    json_[key] = std::move(items);
  }

 private:
  void convolution(const AttentionConvSpec& conv) {
    weight("weight", conv.weight);
    optional_weight("alpha", conv.alpha);
    optional_weight("scale", conv.scale);
    optional_weight("bias", conv.bias);
  }

  JsonValue::Object& json_;
};

/// The alternative of NodeOp called `name`; throws Error when there is none.
template <std::size_t Index = 0>
[[nodiscard]] NodeOp make_op(std::string_view name, std::string_view where) {
  if constexpr (Index == std::variant_size_v<NodeOp>) {
    fail(where, "unknown op '", name, "' (got an op that this version does not have, expected one of its own)");
  } else {
    using Fields = std::variant_alternative_t<Index, NodeOp>;
    if (name == Fields::op) return Fields{};
    return make_op<Index + 1>(name, where);
  }
}

}  // namespace detail

/// Reads node `id`. Field names and types are checked here, their meaning when the Graph is built.
[[nodiscard]] inline Node node_from_json(const JsonValue& json, NodeId id, std::string_view file) {
  JsonObject object(json, std::string(file) + ": node " + std::to_string(id));
  Node node;
  node.name = object.text("name", 128);
  const std::string op = object.text("op", 64);
  JsonObject named(json, object.where() + " (" + op + " " + node.name + ")");
  node.op = detail::make_op(named.text("op", 64), named.where());
  for (const JsonValue& input : named.array("inputs", 0, max_inputs))
    node.inputs.push_back(static_cast<NodeId>(named.to_integer(input, "inputs", max_nodes)));
  (void)named.at("name");
  detail::NodeReader reader(named);
  std::visit([&]<class N>(N& fields) { NodeTraits<N>::fields(reader, fields); }, node.op);
  named.finish();
  return node;
}

[[nodiscard]] inline JsonValue to_json(const Node& node) {
  JsonValue::Object json{{"op", op_name(node.op)}, {"name", node.name}, {"inputs", JsonValue::array_of(node.inputs)}};
  detail::NodeWriter writer(json);
  visit_node(node.op, [&](const auto& fields, auto traits) { traits.fields(writer, fields); });
  return json;
}

}  // namespace bimtdp
