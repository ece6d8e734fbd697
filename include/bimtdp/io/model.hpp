// SPDX-License-Identifier: Apache-2.0
// Model: a network with everything that belongs to it. Immutable; copies are cheap and share everything between threads.
#pragma once

#include <bimtdp/graph/program.hpp>
#include <bimtdp/image/preprocess.hpp>
#include <bimtdp/io/model_info.hpp>
#include <bimtdp/io/model_json.hpp>
#include <bimtdp/io/predictions.hpp>
#include <bimtdp/io/replay.hpp>
#include <bimtdp/io/safetensors.hpp>
#include <bimtdp/io/self_test.hpp>
#include <bimtdp/kernels/select.hpp>

#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

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

}  // namespace detail

class Model {
 public:
  /// Reads and checks a model file completely: container, hash of the text, JSON, hash of the tensors, graph, weights. Throws
  /// FileError: "file: field: what (got X, expected Y); hint".
  [[nodiscard]] static Model load(const std::filesystem::path& path) {
    FileReader file(path);
    return load_from(file);
  }
  [[nodiscard]] static Model load(std::span<const std::byte> bytes, std::string name = "memory") {
    MemoryReader memory(bytes, std::move(name));
    return load_from(memory);
  }

  /// A model from a graph that was built by hand.
  explicit Model(Graph graph, ModelInfo info = {}, std::optional<SelfTest> self_test = {})
      : state_(std::make_shared<const State>(std::move(graph), std::move(info), std::move(self_test))) {}

  [[nodiscard]] const Graph& graph() const { return *state_->graph; }
  [[nodiscard]] const ModelInfo& info() const { return state_->info; }
  [[nodiscard]] const std::string& name() const { return state_->info.name; }
  [[nodiscard]] const std::string& licence() const { return state_->info.licence; }
  [[nodiscard]] const Preprocessing& preprocessing() const { return state_->info.preprocessing; }
  [[nodiscard]] const Normalizer& normalizer() const { return state_->normalizer; }
  [[nodiscard]] const std::vector<Output>& outputs() const { return graph().outputs(); }
  [[nodiscard]] std::size_t stride() const { return graph().stride(); }
  /// None when the file is marked unchecked or the model was built by hand.
  [[nodiscard]] const std::optional<SelfTest>& self_test() const { return state_->self_test; }

  /// The graph prepared for one kernel table; made at the first call, then shared. Safe to call from several threads.
  [[nodiscard]] std::shared_ptr<const Program> program(const kernels::KernelTable& kernels = kernels::active()) const {
    const std::lock_guard lock(state_->mutex);
    std::shared_ptr<const Program>& program = state_->programs[&kernels];
    if (!program) program = std::make_shared<const Program>(state_->graph, kernels);
    return program;
  }

  /// Replays the self-test and compares every node's value with the file's digest, without tolerance.
  [[nodiscard]] VerifyReport verify_self_test(const kernels::KernelTable& kernels = kernels::active(),
                                              const Limits& limits = {}) const {
    if (!self_test()) return {.tier = kernels.name};
    return replay(*self_test(), *program(kernels), normalizer(), limits);
  }

  /// Runs once, for a photo (8-bit RGB) or a normalised map whose height and width are multiples of stride(). Throws Error
  /// for other sizes. A Runner does the same repeatedly without allocating. Defined in io/runner.hpp: include that or bimtdp.hpp.
  [[nodiscard]] Predictions run(const ImageView& image) const;
  [[nodiscard]] Predictions run(const TensorView<const float>& input) const;

 private:
  struct State {
    State(Graph g, ModelInfo i, std::optional<SelfTest> test)
        : graph(std::make_shared<const Graph>(std::move(g))),
          info(std::move(i)),
          normalizer(info.preprocessing.mean, info.preprocessing.deviation),
          self_test(std::move(test)) {
      check_info(info);
      const Preprocessing& p = info.preprocessing;
      demand(p.height % graph->stride() == 0 && p.width % graph->stride() == 0, "preprocessing", "size (got ", p.height, "x",
             p.width, ", expected multiples of the stride ", graph->stride(), ")");
      if (!self_test) return;
      check_equal(graph->values()[0].channels, std::size_t{3}, "self_test", "channels of the input");
      (void)detail::inside("self_test", [&] { return make_dataflow(*graph, self_test->height, self_test->width); });
    }
    std::shared_ptr<const Graph> graph;
    ModelInfo info;
    Normalizer normalizer;
    std::optional<SelfTest> self_test;
    mutable std::mutex mutex;
    mutable std::map<const kernels::KernelTable*, std::shared_ptr<const Program>> programs;
  };

  explicit Model(std::shared_ptr<const State> state) : state_(std::move(state)) {}

  template <class Reader>
  static Model load_from(Reader& reader) {
    return detail::with_hint([&] {
      ModelText text;
      const SafeTensors file =
          SafeTensors::read_from(reader, [&](const Metadata& metadata) { text = parse(metadata, reader.name()); });
      check_equal(digest(file.data()), text.tensors_hash, file.file(), "tensors_hash: the tensors are damaged");
      return Model(detail::inside(file.file(), [&] {
        Graph graph(std::move(text.nodes), weights(file), std::move(text.outputs), text.stride);
        return std::make_shared<const State>(std::move(graph), std::move(text.info), std::move(text.self_test));
      }));
    });
  }

  static ModelText parse(const Metadata& metadata, const std::string& file) {
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

  static Weights weights(const SafeTensors& file) {
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

  std::shared_ptr<const State> state_;
};

}  // namespace bimtdp
