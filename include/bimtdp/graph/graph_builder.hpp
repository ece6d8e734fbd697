// SPDX-License-Identifier: Apache-2.0
// GraphBuilder: writes a Graph by hand.
//
//   GraphBuilder g;
//   const NodeId image = g.input(3);
//   const NodeId stem = g.add("stem", Conv2dNode{.window = square_window(3, 2), .weight = g.floats({16, 3, 3, 3}, w)}, {image});
//   const NodeId bits = g.add("sign", BinarizeNode{}, {stem});
//   const NodeId head = g.add("head", BinaryConv2dNode{.window = square_window(3), .weight = g.signs({4, 3, 3, 16}, v)}, {bits});
//   g.output({.task = "segmentation", .node = head, .kind = OutputKind::classes, .class_names = {"wall", "floor", "bed", "lamp"}});
//   const Graph graph = g.build(2);
#pragma once

#include <bimtdp/graph/graph.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace bimtdp {

/// A square window whose padding keeps the size at stride 1 (odd kernels).
[[nodiscard]] inline Window square_window(std::size_t kernel, std::size_t stride = 1, std::size_t dilation = 1) {
  const std::size_t side = dilation * (kernel - 1) / 2;
  return {{kernel, kernel}, {stride, stride}, {dilation, dilation}, {side, side, side, side}};
}

class GraphBuilder {
 public:
  /// Adds the input; call it first.
  NodeId input(std::size_t channels) { return add("input", InputNode{channels}, {}); }

  /// Adds a node and returns its id. Nothing is checked before build().
  NodeId add(std::string name, NodeOp op, std::vector<NodeId> inputs) {
    nodes_.push_back({std::move(name), std::move(inputs), std::move(op)});
    return nodes_.size() - 1;
  }
  void output(Output output) { outputs_.push_back(std::move(output)); }

  /// Stores float weights, last extent fastest, and returns the name to refer to them by.
  WeightName floats(std::vector<std::size_t> shape, std::span<const float> values) {
    WeightName name = next_name();
    weights_.add(name, std::move(shape), AlignedVector<float>(values.begin(), values.end()));
    return name;
  }
  /// One value a channel.
  WeightName floats(std::initializer_list<float> values) { return floats({values.size()}, std::vector<float>(values)); }

  /// Packs the signs (1 where value >= 0) of binary weights [out][kernel][kernel][in/groups] into words.
  WeightName signs(const std::array<std::size_t, 4>& shape, std::span<const float> values) {
    const std::size_t taps = shape[0] * shape[1] * shape[2];
    const std::size_t words = (shape[3] + 63) / 64;
    check_equal(values.size(), taps * shape[3], "signs", "number of values");
    AlignedVector<std::uint64_t> packed(taps * words);
    for (std::size_t tap = 0; tap < taps; ++tap)
      for (std::size_t c = 0; c < shape[3]; ++c)
        if (values[tap * shape[3] + c] >= 0) packed[tap * words + c / 64] |= std::uint64_t{1} << (c % 64);
    WeightName name = next_name();
    weights_.add(name, {shape[0], shape[1], shape[2], words}, std::move(packed));
    return name;
  }

  /// Validates and returns the graph; the builder is empty afterwards. Throws Error that names the node and the field.
  [[nodiscard]] Graph build(std::size_t stride = 1) {
    return Graph(std::exchange(nodes_, {}), std::exchange(weights_, {}), std::exchange(outputs_, {}), stride);
  }

 private:
  WeightName next_name() const { return "weight." + std::to_string(weights_.tensors().size()); }

  std::vector<Node> nodes_;
  Weights weights_;
  std::vector<Output> outputs_;
};

}  // namespace bimtdp
