// SPDX-License-Identifier: Apache-2.0
// The model's JSON text, read and written.
#pragma once

#include <bimtdp/io/json_fields.hpp>
#include <bimtdp/io/node_json.hpp>

namespace bimtdp {

namespace detail {

[[nodiscard]] inline Preprocessing preprocessing_from_json(const JsonValue& json, const std::string& file) {
  JsonObject object(json, file + ": preprocessing");
  Preprocessing p;
  const JsonValue::Array& mean = object.array("mean", 3, 3);
  const JsonValue::Array& deviation = object.array("std", 3, 3);
  for (std::size_t c = 0; c < 3; ++c) {
    p.mean[c] = object.to_number(mean[c], "mean");
    p.deviation[c] = object.to_number(deviation[c], "std");
  }
  p.height = static_cast<std::size_t>(object.integer("height", max_extent));
  p.width = static_cast<std::size_t>(object.integer("width", max_extent));
  object.finish();
  return p;
}

[[nodiscard]] inline Output output_from_json(const JsonValue& json, const std::string& file) {
  JsonObject object(json, file + ": outputs");
  Output output;
  output.task = object.text("task", 128);
  output.node = static_cast<NodeId>(object.integer("node", max_nodes));
  NodeReader(object).choice("kind", output.kind, output_kind_names);
  if (output.kind == OutputKind::classes)
    for (const JsonValue& name : object.array("class_names", 1, max_class_names))
      output.class_names.push_back(object.to_text(name, "class_names", 128));
  object.finish();
  return output;
}

[[nodiscard]] inline std::optional<SelfTest> self_test_from_json(const JsonValue& json, std::size_t nodes,
                                                                 const std::string& file) {
  JsonObject object(json, file + ": self_test");
  if (object.find("unchecked") != nullptr) {
    demand(object.boolean("unchecked"), object.where(), "unchecked (got false, expected true)");
    object.finish();
    return std::nullopt;
  }
  SelfTest test;
  test.height = static_cast<std::size_t>(object.integer("height", max_extent));
  test.width = static_cast<std::size_t>(object.integer("width", max_extent));
  test.seed = object.integer("seed", (std::numeric_limits<std::uint64_t>::max)());
  for (const JsonValue& item : object.array("digests", nodes, nodes)) {
    test.digests.push_back(object.to_text(item, "digests", 32));
    demand(is_digest(test.digests.back()), object.where(), "digests (got '", test.digests.back(), "', expected 32 hex digits)");
  }
  object.finish();
  return test;
}

}  // namespace detail

ModelText model_from_json(std::string_view text, const std::string& file) {
  const JsonValue json = parse_json(text, file + ": bimtdp");
  JsonObject object(json, file + ": bimtdp");
  const std::uint64_t version = object.integer("format_version", (std::numeric_limits<std::uint64_t>::max)());
  demand(version == format_version, file, "unknown format_version (got ", version, ", expected ", format_version, ")");
  ModelText model;
  model.info.name = object.text("name", 256);
  model.info.producer = object.text("producer", 256);
  model.info.licence = object.text("licence", 4096);
  const JsonValue& provenance = object.at("provenance");
  demand(provenance.is_object(), object.where(), "provenance (got ", provenance.type_name(), ", expected an object)");
  demand(provenance.object().size() <= 256, object.where(), "provenance (got ", provenance.object().size(),
         " fields, expected at most 256)");
  for (const auto& [key, value] : provenance.object()) model.info.provenance[key] = object.to_text(value, "provenance", 65536);
  model.info.preprocessing = detail::preprocessing_from_json(object.at("preprocessing"), file);
  model.stride = static_cast<std::size_t>(object.integer("stride", max_extent));
  for (const JsonValue& node : object.array("nodes", 1, max_nodes))
    model.nodes.push_back(node_from_json(node, model.nodes.size(), file));
  for (const JsonValue& output : object.array("outputs", 1, max_outputs))
    model.outputs.push_back(detail::output_from_json(output, file));
  model.tensors_hash = object.text("tensors_hash", 32);
  demand(is_digest(model.tensors_hash), object.where(), "tensors_hash (got '", model.tensors_hash, "', expected 32 hex digits)");
  model.self_test = detail::self_test_from_json(object.at("self_test"), model.nodes.size(), file);
  object.finish();
  return model;
}

std::string to_json(const ModelText& model) {
  using Array = JsonValue::Array;
  using Object = JsonValue::Object;
  Array nodes, outputs;
  for (const Node& node : model.nodes) nodes.push_back(to_json(node));
  for (const Output& output : model.outputs) {
    Object json{{"task", output.task}, {"node", output.node}};
    detail::NodeWriter(json).choice("kind", output.kind, detail::output_kind_names);
    if (output.kind == OutputKind::classes) json["class_names"] = JsonValue::array_of(output.class_names);
    outputs.emplace_back(std::move(json));
  }
  Object test{{"unchecked", true}};
  if (model.self_test)
    test = {{"height", model.self_test->height},
            {"width", model.self_test->width},
            {"seed", model.self_test->seed},
            {"digests", JsonValue::array_of(model.self_test->digests)}};
  const Preprocessing& p = model.info.preprocessing;
  return JsonValue(Object{{"format_version", format_version},
                          {"name", model.info.name},
                          {"producer", model.info.producer},
                          {"licence", model.info.licence},
                          {"provenance", Object(model.info.provenance.begin(), model.info.provenance.end())},
                          {"preprocessing", Object{{"mean", JsonValue::array_of(p.mean)},
                                                   {"std", JsonValue::array_of(p.deviation)},
                                                   {"height", p.height},
                                                   {"width", p.width}}},
                          {"stride", model.stride},
                          {"nodes", std::move(nodes)},
                          {"outputs", std::move(outputs)},
                          {"tensors_hash", model.tensors_hash},
                          {"self_test", std::move(test)}})
      .to_text();
}

}  // namespace bimtdp
