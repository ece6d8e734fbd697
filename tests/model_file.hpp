// SPDX-License-Identifier: Apache-2.0
// A small writer of safetensors and model files, for the tests.
#pragma once

#include <bimtdp/graph/graph_builder.hpp>
#include <bimtdp/io/model_json.hpp>
#include <bimtdp/io/replay.hpp>

#include <nlohmann/json.hpp>

#include "graphs.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace test {

using Bytes = std::vector<std::byte>;

inline void append(Bytes& bytes, const void* data, std::size_t count) {
  const std::size_t before = bytes.size();
  bytes.resize(before + count);
  if (count > 0) std::memcpy(bytes.data() + before, data, count);
}

/// Length, header text and data, as they are: nothing is checked.
inline Bytes raw_file(const std::string& header, const Bytes& data = {}) {
  Bytes bytes;
  const std::uint64_t length = header.size();
  append(bytes, &length, 8);
  append(bytes, header.data(), header.size());
  append(bytes, data.data(), data.size());
  return bytes;
}

/// A model file taken apart: the tests change a part and write it again.
struct ModelFile {
  ModelText text;
  Weights weights;

  [[nodiscard]] Bytes data() const {
    Bytes data;
    for (const auto& [name, tensor] : weights.tensors())
      std::visit([&](const auto& values) { append(data, values.data(), values.size() * sizeof(values[0])); }, tensor.values);
    return data;
  }
  /// The header around the given JSON text.
  [[nodiscard]] std::string header(const std::string& model_text) const {
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
  [[nodiscard]] Bytes bytes() const { return raw_file(header(to_json(text)), data()); }
};

/// The file of a graph, with a self-test of the reference kernels unless `unchecked`.
inline ModelFile model_file(const Graph& graph, bool unchecked = false) {
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
