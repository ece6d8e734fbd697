// SPDX-License-Identifier: Apache-2.0
// Runner: planned, run and measured.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

namespace bimtdp {

Runner::Runner(Model model, const RunnerOptions& options)
    : model_(std::move(model)),
      program_(model_.program(options.kernels ? *options.kernels : kernels::active())),
      options_{.threads = options.threads == 0 ? default_threads() : options.threads,
               .keep_all = options.keep_all,
               .limits = options.limits,
               .outputs_apart = !options.keep_all},
      team_(options_.threads) {
  for (const Output& output : model_.outputs()) predictions_.tasks_.push_back({output.task, output.kind, {}});
}

void Runner::prepare_size(const Shape& shape) {
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

void Runner::load(const ImageView& image) {
  check_equal(image.shape.channels, std::size_t{3}, "image", "channels");
  prepare_size(image.shape);
  model_.normalizer().run(image, plan().value(0, arena_).floats());
}

void Runner::load(const TensorView<const float>& input) {
  prepare_size(input.shape);
  std::copy_n(input.data, input.shape.elements(), plan().value(0, arena_).floats().data);
}

template <class Observer>
const Predictions& Runner::finish(Observer&& observer) {
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

template <class Input>
Profile Runner::profile_of(const Input& input, std::size_t repeats, const std::optional<Rates>& given) {
  demand(repeats > 0, "profile", "repeats (got 0, expected at least 1)");
  const Rates rates = given ? *given : measure_rates(program_->kernels());
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

const Predictions& Runner::run(const ImageView& image) { return load(image), finish(NoObserver{}); }
const Predictions& Runner::run(const TensorView<const float>& input) { return load(input), finish(NoObserver{}); }

Profile Runner::profile(const ImageView& image, std::size_t repeats, const std::optional<Rates>& rates) {
  return profile_of(image, repeats, rates);
}
Profile Runner::profile(const TensorView<const float>& input, std::size_t repeats, const std::optional<Rates>& rates) {
  return profile_of(input, repeats, rates);
}

const Plan& Runner::plan() const {
  demand(!plans_.empty(), "runner", "nothing was run or planned yet");
  return plans_.front();
}

const Plan& Runner::plan_for(std::size_t height, std::size_t width) {
  prepare_size({height, width, model_.graph().values()[0].channels});
  return plans_.front();
}

ValueRef Runner::value(NodeId id) {
  demand(ran_ != nullptr, "runner", "no run to read a value of");
  demand(id < ran_->values().size(), "runner", "node (got ", id, ", expected below ", ran_->values().size(), ")");
  return ran_->value(id, arena_, output_data_);
}

template <class Input>
Predictions Runner::run_once(const Model& model, const Input& input) {
  Runner runner(model);
  runner.run(input);
  return std::move(runner.predictions_);
}

Predictions Model::run(const ImageView& image) const { return Runner::run_once(*this, image); }
Predictions Model::run(const TensorView<const float>& input) const { return Runner::run_once(*this, input); }

}  // namespace bimtdp
