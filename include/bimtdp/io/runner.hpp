// SPDX-License-Identifier: Apache-2.0
// Runner: runs a model repeatedly, one Runner per thread of work. After the first run of an input size it allocates nothing, as
// long as it meets at most Runner::max_plans sizes.
#pragma once

#include <bimtdp/core/inline.hpp>
#include <bimtdp/io/model.hpp>
#include <bimtdp/io/predictions.hpp>
#include <bimtdp/plan/plan.hpp>
#include <bimtdp/run/describe.hpp>
#include <bimtdp/run/profile.hpp>
#include <bimtdp/run/rates.hpp>
#include <bimtdp/run/run.hpp>
#include <bimtdp/run/threads.hpp>

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace bimtdp {

struct RunnerOptions {
  std::size_t threads = 0;  ///< 0: as many as this process may use
  Limits limits{};
  const kernels::KernelTable* kernels = nullptr;  ///< null: kernels::active()
  bool keep_all = false;                          ///< every node's value stays readable after a run
};

/// Can be moved, but not copied: it owns the memory of its runs.
class Runner {
 public:
  /// How many input sizes keep their plan; of more, the one that was used least recently is planned anew.
  static constexpr std::size_t max_plans = 8;

  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;
  Runner(Runner&&) = default;
  Runner& operator=(Runner&&) = default;

  explicit BIMTDP_INLINE Runner(Model model, const RunnerOptions& options = {});

  /// Runs on a photo or a normalised map. The result lives until the next run.
  BIMTDP_INLINE const Predictions& run(const ImageView& image);
  BIMTDP_INLINE const Predictions& run(const TensorView<const float>& input);

  /// Runs `repeats` times on the same input and returns the profile of the fastest run. The maps of the runs are those of run().
  /// Looking at the clock around every band of every node costs a few percent; Profile::seconds includes it.
  /// Rates that are not given are measured first.
  [[nodiscard]] BIMTDP_INLINE Profile profile(const ImageView& image, std::size_t repeats = 5,
                                              const std::optional<Rates>& rates = {});
  [[nodiscard]] BIMTDP_INLINE Profile profile(const TensorView<const float>& input, std::size_t repeats = 5,
                                              const std::optional<Rates>& rates = {});

  /// The plan of the size that was run or planned last: cost in bytes and multiply-accumulates.
  [[nodiscard]] BIMTDP_INLINE const Plan& plan() const;
  /// That plan as a table, one line a step; see bimtdp::describe.
  [[nodiscard]] std::string describe(const Rates& rates = {}) const { return bimtdp::describe(model_.graph(), plan(), rates); }
  /// Plans a size without running it. The values of the last run cannot be read afterwards.
  BIMTDP_INLINE const Plan& plan_for(std::size_t height, std::size_t width);

  /// A node's value after the last run; nodes other than outputs need RunnerOptions::keep_all.
  [[nodiscard]] BIMTDP_INLINE ValueRef value(NodeId id);
  /// Runs one node on given inputs, apart from everything else; see bimtdp::run_node.
  [[nodiscard]] Value run_node(NodeId id, std::span<const Value> inputs) const { return bimtdp::run_node(*program_, id, inputs); }

  [[nodiscard]] const Model& model() const { return model_; }
  [[nodiscard]] const Program& program() const { return *program_; }
  [[nodiscard]] std::size_t threads() const { return options_.threads; }

 private:
  BIMTDP_INLINE void prepare_size(const Shape& shape);

  /// Plans the input's size and writes the input where the graph reads it.
  BIMTDP_INLINE void load(const ImageView& image);
  BIMTDP_INLINE void load(const TensorView<const float>& input);

  template <class Observer>
  const Predictions& finish(Observer&& observer);
  template <class Input>
  Profile profile_of(const Input& input, std::size_t repeats, const std::optional<Rates>& rates);
  template <class Input>
  static Predictions run_once(const Model& model, const Input& input);

  friend class Model;  // its run() is run_once()

  Model model_;
  std::shared_ptr<const Program> program_;
  PlanOptions options_;
  Team team_;
  std::list<Plan> plans_;      // the last used one first
  const Plan* ran_ = nullptr;  // that of the last run, where its values are still there
  AlignedVector<std::byte> arena_;
  Predictions predictions_;
  std::vector<float*> output_data_{};  // of predictions_, in order
};

}  // namespace bimtdp

#if !defined(BIMTDP_COMPILED)
#include <bimtdp/io/runner.inl>
#endif
