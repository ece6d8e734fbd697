// SPDX-License-Identifier: Apache-2.0
// Graph: a network as a list of nodes, its weights and its outputs. A Graph that exists was validated completely.
#pragma once

#include <bimtdp/core/inline.hpp>
#include <bimtdp/graph/node.hpp>
#include <bimtdp/graph/value.hpp>
#include <bimtdp/graph/weights.hpp>
#include <bimtdp/image/output_kind.hpp>

#include <cstddef>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace bimtdp {

inline constexpr std::size_t max_nodes = std::size_t{1} << 14;
inline constexpr std::size_t max_outputs = 64;
inline constexpr std::size_t max_class_names = std::size_t{1} << 16;

/// A task's map: the value of `node`. Classes have one name per channel.
struct Output {
  std::string task{};
  NodeId node = 0;
  OutputKind kind = OutputKind::raw;
  std::vector<std::string> class_names{};
};

class Graph {
 public:
  /// Validates everything that does not depend on the input's size. `stride`: height and width of an input must be
  /// multiples of it. Throws Error that names the node and the field.
  BIMTDP_INLINE Graph(std::vector<Node> nodes, Weights weights, std::vector<Output> outputs, std::size_t stride = 1);

  [[nodiscard]] const std::vector<Node>& nodes() const { return nodes_; }
  [[nodiscard]] const Weights& weights() const { return weights_; }
  [[nodiscard]] const std::vector<Output>& outputs() const { return outputs_; }
  [[nodiscard]] std::size_t stride() const { return stride_; }
  /// Type and channels of every node's value.
  [[nodiscard]] const std::vector<ValueInfo>& values() const { return values_; }

 private:
  BIMTDP_INLINE void check_nodes();

  /// Every weight is used, and tied weights do not multiply the memory: each use is packed for itself.
  BIMTDP_INLINE void check_uses(const WeightUses& uses) const;

  BIMTDP_INLINE void check_output(const Output& output) const;

  std::vector<Node> nodes_;
  Weights weights_;
  std::vector<Output> outputs_;
  std::size_t stride_;
  std::vector<ValueInfo> values_;
};

}  // namespace bimtdp

#if !defined(BIMTDP_COMPILED)
#include <bimtdp/graph/graph.inl>
#endif
