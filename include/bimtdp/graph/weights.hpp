// SPDX-License-Identifier: Apache-2.0
// Weights: the named tensors of a graph, floats or words of bits, each checked when it is added.
#pragma once

#include <bimtdp/core/aligned.hpp>
#include <bimtdp/core/checked.hpp>
#include <bimtdp/core/error.hpp>
#include <bimtdp/core/text.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace bimtdp {

/// "[16,3,3,3]"
[[nodiscard]] inline std::string shape_text(std::span<const std::size_t> shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (i > 0) text += ',';
    text += std::to_string(shape[i]);
  }
  return text + "]";
}

struct WeightTensor {
  std::vector<std::size_t> shape;
  std::variant<AlignedVector<float>, AlignedVector<std::uint64_t>> values;
};

class Weights {
 public:
  /// Adds a float tensor. Throws Error for a bad or used name, a size other than the shape's, and values that are not finite.
  void add(const std::string& name, std::vector<std::size_t> shape, AlignedVector<float> values) {
    check_new(name, shape, values.size());
    const auto bad = std::find_if_not(values.begin(), values.end(), [](float value) { return std::isfinite(value); });
    if (bad != values.end())
      fail("weight '" + name + "'", "not finite: value ", bad - values.begin(), " (got ", *bad, ", expected a finite number)");
    tensors_.emplace(name, WeightTensor{std::move(shape), std::move(values)});
  }
  /// Adds packed signs; the last extent counts 64-bit words.
  void add(const std::string& name, std::vector<std::size_t> shape, AlignedVector<std::uint64_t> words) {
    check_new(name, shape, words.size());
    tensors_.emplace(name, WeightTensor{std::move(shape), std::move(words)});
  }

  [[nodiscard]] bool contains(std::string_view name) const { return tensors_.find(name) != tensors_.end(); }
  [[nodiscard]] const WeightTensor& at(std::string_view name) const {
    const auto found = tensors_.find(name);
    demand(found != tensors_.end(), "weights", "no tensor '", name, "'");
    return found->second;
  }
  /// The values of a float tensor; an empty span for the empty name.
  [[nodiscard]] std::span<const float> floats(std::string_view name) const {
    if (name.empty()) return {};
    const auto* values = std::get_if<AlignedVector<float>>(&at(name).values);
    demand(values != nullptr, "weight '" + std::string(name) + "'", "dtype (got U64, expected F32 or F16)");
    return *values;
  }
  [[nodiscard]] std::span<const std::uint64_t> words(std::string_view name) const {
    const auto* values = std::get_if<AlignedVector<std::uint64_t>>(&at(name).values);
    demand(values != nullptr, "weight '" + std::string(name) + "'", "dtype (got floats, expected U64)");
    return *values;
  }
  [[nodiscard]] const std::map<std::string, WeightTensor, std::less<>>& tensors() const { return tensors_; }

 private:
  void check_new(const std::string& name, const std::vector<std::size_t>& shape, std::size_t values) const {
    demand(is_valid_name(name), "weight " + in_quotes(name), "name (got ", name.size(),
           " bytes, expected 1 to 128 of A-Z a-z 0-9 _ .)");
    demand(!contains(name), "weight '" + name + "'", "added twice");
    Checked elements = 1;
    for (const std::size_t extent : shape) elements = elements * extent;
    check_equal(values, elements.value(), "weight '" + name + "'", "number of values for the shape " + shape_text(shape));
  }

  std::map<std::string, WeightTensor, std::less<>> tensors_;
};

}  // namespace bimtdp
