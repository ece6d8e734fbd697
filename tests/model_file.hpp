// SPDX-License-Identifier: Apache-2.0
// A small writer of safetensors and model files, for the tests.
#pragma once

#include <bimtdp/graph/graph_builder.hpp>
#include <bimtdp/io/model_json.hpp>

#include "graphs.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
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

  [[nodiscard]] Bytes data() const;
  /// The header around the given JSON text.
  [[nodiscard]] std::string header(const std::string& model_text) const;
  [[nodiscard]] Bytes bytes() const { return raw_file(header(to_json(text)), data()); }
};

/// The file of a graph, with a self-test of the reference kernels unless `unchecked`.
ModelFile model_file(const Graph& graph, bool unchecked = false);

}  // namespace test
