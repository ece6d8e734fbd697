// SPDX-License-Identifier: Apache-2.0
// Model: a network with everything that belongs to it. Immutable; copies are cheap and share everything between threads.
#pragma once

#include <bimtdp/core/inline.hpp>
#include <bimtdp/graph/program.hpp>
#include <bimtdp/image/preprocess.hpp>
#include <bimtdp/io/model_info.hpp>
#include <bimtdp/io/predictions.hpp>
#include <bimtdp/io/self_test.hpp>
#include <bimtdp/kernels/select.hpp>
#include <bimtdp/plan/plan.hpp>

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

class Model {
 public:
  /// Reads and checks a model file completely: container, hash of the text, JSON, hash of the tensors, graph, weights. Throws
  /// FileError: "file: field: what (got X, expected Y); hint".
  [[nodiscard]] static BIMTDP_INLINE Model load(const std::filesystem::path& path);
  [[nodiscard]] static BIMTDP_INLINE Model load(std::span<const std::byte> bytes, std::string name = "memory");

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
  [[nodiscard]] BIMTDP_INLINE std::shared_ptr<const Program> program(const kernels::KernelTable& kernels = kernels::active()) const;

  /// Replays the self-test and compares every node's value with the file's digest, without tolerance.
  [[nodiscard]] BIMTDP_INLINE VerifyReport verify_self_test(const kernels::KernelTable& kernels = kernels::active(),
                                                            const Limits& limits = {}) const;

  /// Runs once, for a photo (8-bit RGB) or a normalised map whose height and width are multiples of stride(). Throws Error
  /// for other sizes. A Runner does the same repeatedly without allocating. Needs io/runner.hpp or bimtdp.hpp included.
  [[nodiscard]] BIMTDP_INLINE Predictions run(const ImageView& image) const;
  [[nodiscard]] BIMTDP_INLINE Predictions run(const TensorView<const float>& input) const;

 private:
  struct State {
    BIMTDP_INLINE State(Graph graph, ModelInfo info, std::optional<SelfTest> self_test);
    std::shared_ptr<const Graph> graph;
    ModelInfo info;
    Normalizer normalizer;
    std::optional<SelfTest> self_test;
    mutable std::mutex mutex;
    mutable std::map<const kernels::KernelTable*, std::shared_ptr<const Program>> programs;
  };

  explicit Model(std::shared_ptr<const State> state) : state_(std::move(state)) {}

  template <class Reader>
  static Model load_from(Reader& reader);

  std::shared_ptr<const State> state_;
};

}  // namespace bimtdp

#if !defined(BIMTDP_COMPILED)
#include <bimtdp/io/model.inl>
#endif
