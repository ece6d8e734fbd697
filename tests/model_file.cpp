// SPDX-License-Identifier: Apache-2.0
#include "model_file.hpp"

#include <bimtdp/io/digest.hpp>
#include <bimtdp/io/replay.hpp>

#include <nlohmann/json.hpp>

#include <span>
#include <variant>

namespace test {

Bytes ModelFile::data() const {
  Bytes data;
  for (const auto& [name, tensor] : weights.tensors())
    std::visit([&](const auto& values) { append(data, values.data(), values.size() * sizeof(values[0])); }, tensor.values);
  return data;
}

std::string ModelFile::header(const std::string& model_text) const {
  const std::string hash = digest(std::as_bytes(std::span(model_text)));
  nlohmann::json header{{"__metadata__", {{"bimtdp", model_text}, {"bimtdp_hash", hash}}}};
  std::size_t begin = 0;
  for (const auto& [name, tensor] : weights.tensors()) {
    const bool floats = std::holds_alternative<AlignedVector<float>>(tensor.values);
    const std::size_t count = std::visit([](const auto& values) { return values.size() * sizeof(values[0]); }, tensor.values);
    header[name] = {{"dtype", floats ? "F32" : "U64"}, {"shape", tensor.shape}, {"data_offsets", {begin, begin + count}}};
    begin += count;
  }
  std::string text = header.dump();
  text.append((64 - (8 + text.size()) % 64) % 64, ' ');
  return text;
}

ModelFile model_file(const Graph& graph, bool unchecked) {
  ModelFile file;
  file.text.info = {.name = "small", .producer = "tests", .licence = "Apache-2.0", .provenance = {{"data", "none"}}};
  file.text.info.preprocessing.height = file.text.info.preprocessing.width = 8 * graph.stride();
  file.text.stride = graph.stride();
  file.text.nodes = graph.nodes();
  file.text.outputs = graph.outputs();
  file.weights = graph.weights();
  file.text.tensors_hash = digest(file.data());
  if (unchecked) return file;
  SelfTest self_test{.height = 8 * graph.stride(), .width = 12 * graph.stride(), .seed = 42};
  const Normalizer normalizer(file.text.info.preprocessing.mean, file.text.info.preprocessing.deviation);
  self_test.digests =
      self_test_digests(Program(graph, kernels::reference_table()), normalizer, self_test.height, self_test.width, 42);
  file.text.self_test = self_test;
  return file;
}

}  // namespace test
