// SPDX-License-Identifier: Apache-2.0
// Model: loaded and checked.
#pragma once

#include <bimtdp/io/model_json.hpp>
#include <bimtdp/io/replay.hpp>
#include <bimtdp/io/safetensors.hpp>

namespace bimtdp {

namespace detail {

/// Runs `make` and puts `place`, a file or a field, before the message of an Error.
template <class Make>
auto inside(const std::string& place, Make&& make) {
  try {
    return make();
  } catch (const Error& error) {
    throw Error(place + ": " + error.what());
  }
}

/// Runs `make` and says behind the message of an Error, unless it has a hint of its own, what to do about a bad model file.
template <class Make>
auto with_hint(Make&& make) {
  try {
    return make();
  } catch (const FileError&) {
    throw;
  } catch (const Error& error) {
    throw FileError(std::string(error.what()) +
                    "; the file is damaged, or of another program or version: fetch it again, or make it again with "
                    "scripts/convert.py");
  }
}

[[nodiscard]] inline ModelText read_text(const Metadata& metadata, const std::string& file) {
  const auto found = metadata.find("bimtdp"), hash = metadata.find("bimtdp_hash");
  demand(found != metadata.end(), file,
         "is a safetensors file but no bimtdp model (got __metadata__ without the key 'bimtdp', "
         "expected one)");
  demand(hash != metadata.end() && metadata.size() == 2, file, "__metadata__ (got ", metadata.size(),
         " keys, expected two: "
         "bimtdp and bimtdp_hash)");
  check_equal(digest(std::as_bytes(std::span(found->second))), hash->second.substr(0, 64), file,
              "bimtdp_hash: the text is damaged");
  return model_from_json(found->second, file);
}

[[nodiscard]] inline Weights read_weights(const SafeTensors& file) {
  Weights weights;
  for (const StoredTensor& tensor : file.tensors()) {
    if (holds_signs(tensor)) {
      weights.add(tensor.name, shape_in_words(tensor), to_words(tensor, "weights"));
    } else {
      weights.add(tensor.name, tensor.shape, to_floats(tensor, "weights"));
    }
  }
  return weights;
}

}  // namespace detail

Model::State::State(Graph g, ModelInfo i, std::optional<SelfTest> test)
    : graph(std::make_shared<const Graph>(std::move(g))),
      info(std::move(i)),
      normalizer(info.preprocessing.mean, info.preprocessing.deviation),
      self_test(std::move(test)) {
  check_info(info);
  const Preprocessing& p = info.preprocessing;
  demand(p.height % graph->stride() == 0 && p.width % graph->stride() == 0, "preprocessing", "size (got ", p.height, "x", p.width,
         ", expected multiples of the stride ", graph->stride(), ")");
  if (!self_test) return;
  check_equal(graph->values()[0].channels, std::size_t{3}, "self_test", "channels of the input");
  (void)detail::inside("self_test", [&] { return make_dataflow(*graph, self_test->height, self_test->width); });
}

template <class Reader>
Model Model::load_from(Reader& reader) {
  return detail::with_hint([&] {
    ModelText text;
    const SafeTensors file =
        SafeTensors::read_from(reader, [&](const Metadata& metadata) { text = detail::read_text(metadata, reader.name()); });
    check_equal(digest(file.data()), text.tensors_hash, file.file(), "tensors_hash: the tensors are damaged");
    return Model(detail::inside(file.file(), [&] {
      Graph graph(std::move(text.nodes), detail::read_weights(file), std::move(text.outputs), text.stride);
      return std::make_shared<const State>(std::move(graph), std::move(text.info), std::move(text.self_test));
    }));
  });
}

Model Model::load(const std::filesystem::path& path) {
  FileReader file(path);
  return load_from(file);
}

Model Model::load(std::span<const std::byte> bytes, std::string name) {
  MemoryReader memory(bytes, std::move(name));
  return load_from(memory);
}

std::shared_ptr<const Program> Model::program(const kernels::KernelTable& kernels) const {
  const std::lock_guard lock(state_->mutex);
  std::shared_ptr<const Program>& program = state_->programs[&kernels];
  if (!program) program = std::make_shared<const Program>(state_->graph, kernels);
  return program;
}

VerifyReport Model::verify_self_test(const kernels::KernelTable& kernels, const Limits& limits) const {
  if (!self_test()) return {.tier = kernels.name};
  return replay(*self_test(), *program(kernels), normalizer(), limits);
}

}  // namespace bimtdp
