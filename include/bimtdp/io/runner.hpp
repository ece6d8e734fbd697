// SPDX-License-Identifier: Apache-2.0
// Runner: runs a model repeatedly, one Runner per thread of work. After the first run of an input size it allocates nothing, as
// long as it meets at most Runner::max_plans sizes.
#pragma once

#include <bimtdp/io/model.hpp>
#include <bimtdp/io/predictions.hpp>
#include <bimtdp/plan/plan.hpp>
#include <bimtdp/run/describe.hpp>
#include <bimtdp/run/profile.hpp>
#include <bimtdp/run/rates.hpp>
#include <bimtdp/run/run.hpp>
#include <bimtdp/run/threads.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <list>
#include <memory>
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

  explicit Runner(Model model, const RunnerOptions& options = {})
      : model_(std::move(model)),
        program_(model_.program(options.kernels ? *options.kernels : kernels::active())),
        options_{.threads = options.threads == 0 ? default_threads() : options.threads,
                 .keep_all = options.keep_all,
                 .limits = options.limits,
                 .outputs_apart = !options.keep_all},
        team_(options_.threads) {
    for (const Output& output : model_.outputs()) predictions_.tasks_.push_back({output.task, output.kind, {}});
  }

  /// Runs on a photo or a normalised map. The result lives until the next run.
  const Predictions& run(const ImageView& image) { return load(image), finish(NoObserver{}); }
  const Predictions& run(const TensorView<const float>& input) { return load(input), finish(NoObserver{}); }

  /// Runs `repeats` times on the same input and returns the profile of the fastest run. The maps of the runs are those of run().
  /// Looking at the clock around every band of every node costs a few percent; Profile::seconds includes it.
  template <class Input>
  [[nodiscard]] Profile profile(const Input& input, std::size_t repeats = 5) {
    return profile(input, repeats, measure_rates(program_->kernels()));
  }
  template <class Input>
  [[nodiscard]] Profile profile(const Input& input, std::size_t repeats, const Rates& rates) {
    demand(repeats > 0, "profile", "repeats (got 0, expected at least 1)");
    load(input);
    EventRecorder recorder(plan());
    std::int64_t best = (std::numeric_limits<std::int64_t>::max)();
    std::vector<ProfileEvent> events;
    for (std::size_t i = 0; i < repeats; ++i) {
      load(input);
      recorder.restart();
      finish(recorder);
      const std::int64_t end = recorder.now();
      if (end >= best) continue;
      best = end;
      events = recorder.events();
    }
    return make_profile(model_.graph(), plan(), rates, static_cast<double>(best) * 1e-9, std::move(events));
  }

  /// The plan of the size that was run or planned last: cost in bytes and multiply-accumulates.
  [[nodiscard]] const Plan& plan() const {
    demand(!plans_.empty(), "runner", "nothing was run or planned yet");
    return plans_.front();
  }
  /// That plan as a table, one line a step; see bimtdp::describe.
  [[nodiscard]] std::string describe(const Rates& rates = {}) const { return bimtdp::describe(model_.graph(), plan(), rates); }
  /// Plans a size without running it. The values of the last run cannot be read afterwards.
  const Plan& plan_for(std::size_t height, std::size_t width) {
    prepare_size({height, width, model_.graph().values()[0].channels});
    return plans_.front();
  }

  /// A node's value after the last run; nodes other than outputs need RunnerOptions::keep_all.
  [[nodiscard]] ValueRef value(NodeId id) {
    demand(ran_ != nullptr, "runner", "no run to read a value of");
    demand(id < ran_->values().size(), "runner", "node (got ", id, ", expected below ", ran_->values().size(), ")");
    return ran_->value(id, arena_, output_data_);
  }
  /// Runs one node on given inputs, apart from everything else; see bimtdp::run_node.
  [[nodiscard]] Value run_node(NodeId id, std::span<const Value> inputs) const { return bimtdp::run_node(*program_, id, inputs); }

  [[nodiscard]] const Model& model() const { return model_; }
  [[nodiscard]] const Program& program() const { return *program_; }
  [[nodiscard]] std::size_t threads() const { return options_.threads; }

  /// One run; the maps are the caller's.
  template <class Input>
  [[nodiscard]] static Predictions run_once(const Model& model, const Input& input) {
    Runner runner(model);
    runner.run(input);
    return std::move(runner.predictions_);
  }

 private:
  void prepare_size(const Shape& shape) {
    ran_ = nullptr;
    check_equal(shape.channels, model_.graph().values()[0].channels, "input", "channels");
    const auto same = [&](const Plan& plan) { return plan.input() == shape; };
    if (const auto found = std::find_if(plans_.begin(), plans_.end(), same); found != plans_.end()) {
      plans_.splice(plans_.begin(), plans_, found);
    } else {
      plans_.emplace_front(*program_, shape.height, shape.width, options_);
      if (plans_.size() > max_plans) plans_.pop_back();
    }
    if (arena_.size() < plans_.front().arena_bytes()) {
      arena_ = {};  // free before allocating: the old bytes are of no use
      arena_ = AlignedVector<std::byte>(plans_.front().arena_bytes());
    }
  }

  /// Plans the input's size and writes the input where the graph reads it.
  void load(const ImageView& image) {
    check_equal(image.shape.channels, std::size_t{3}, "image", "channels");
    prepare_size(image.shape);
    model_.normalizer().run(image, plan().value(0, arena_).floats());
  }
  void load(const TensorView<const float>& input) {
    prepare_size(input.shape);
    std::copy_n(input.data, input.shape.elements(), plan().value(0, arena_).floats().data);
  }

  template <class Observer>
  const Predictions& finish(Observer&& observer) {
    const Plan& plan = plans_.front();
    output_data_.clear();
    for (std::size_t i = 0; i < predictions_.tasks_.size(); ++i) {
      const Shape& shape = plan.values()[model_.outputs()[i].node].shape;
      Tensor<float>& map = predictions_.tasks_[i].map;
      map.reshape(shape);
      output_data_.push_back(map.data());
    }
    bimtdp::run(*program_, plan, team_, arena_, output_data_, observer);
    for (std::size_t i = 0; i < predictions_.tasks_.size(); ++i) {  // bits, integers, and a node that is an output twice
      const NodeId node = model_.outputs()[i].node;
      const auto* caller = plan.values()[node].at<AtCaller>();
      if (caller == nullptr || caller->output != i) plan.value(node, arena_, output_data_).copy_to(predictions_.tasks_[i].map);
    }
    ran_ = &plan;
    return predictions_;
  }

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

inline Predictions Model::run(const ImageView& image) const { return Runner::run_once(*this, image); }
inline Predictions Model::run(const TensorView<const float>& input) const { return Runner::run_once(*this, input); }

}  // namespace bimtdp
