// SPDX-License-Identifier: Apache-2.0
// Predictions: the maps of all tasks of one run.
#pragma once

#include <bimtdp/core/error.hpp>
#include <bimtdp/core/tensor.hpp>
#include <bimtdp/image/output_kind.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bimtdp {

/// The maps of all tasks.
class Predictions {
 public:
  struct Task {
    std::string name{};
    OutputKind kind = OutputKind::raw;
    Tensor<float> map{};
  };

  [[nodiscard]] std::size_t size() const { return tasks_.size(); }
  [[nodiscard]] auto begin() const { return tasks_.begin(); }
  [[nodiscard]] auto end() const { return tasks_.end(); }
  [[nodiscard]] bool contains(std::string_view task) const { return index(task) < tasks_.size(); }
  /// The map of a task; throws Error when the model has no such task.
  [[nodiscard]] const Tensor<float>& operator[](std::string_view task) const& { return tasks_[known(task)].map; }
  /// Of predictions that nobody keeps: the map itself, as in `auto depth = model.run(photo)["depth"]`.
  [[nodiscard]] Tensor<float> operator[](std::string_view task) && { return std::move(tasks_[known(task)].map); }

 private:
  friend class Runner;
  [[nodiscard]] std::size_t index(std::string_view task) const {
    const auto same = [&](const Task& t) { return t.name == task; };
    return static_cast<std::size_t>(std::find_if(begin(), end(), same) - begin());
  }
  [[nodiscard]] std::size_t known(std::string_view task) const {
    const std::size_t found = index(task);
    demand(found < tasks_.size(), "predictions", "no task '", task, "'");
    return found;
  }
  std::vector<Task> tasks_;
};

}  // namespace bimtdp
