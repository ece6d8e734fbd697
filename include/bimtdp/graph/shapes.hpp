// SPDX-License-Identifier: Apache-2.0
// Shapes of all values for one input size, and the work to compute them: one checked inference, run before any kernel.
#pragma once

#include <bimtdp/core/checked.hpp>
#include <bimtdp/core/shape.hpp>
#include <bimtdp/graph/graph.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace bimtdp {

/// The largest map, in elements.
inline constexpr std::uint64_t max_elements = std::uint64_t{1} << 31;

namespace detail {

/// Throws Error unless every position of the window along one axis meets the input: a maximum needs a tap.
inline void check_window_meets(std::size_t input, std::size_t output, std::size_t kernel, std::size_t stride, std::size_t dilation,
                               std::size_t before, std::string_view where) {
  if (dilation <= input) {  // neighbouring taps cannot step over the input: the first and the last window decide
    const bool first = dilation * (kernel - 1) >= before, last = (output - 1) * stride < before + input;
    check(first && last, where, "window ", first ? output - 1 : 0, " lies in the padding altogether");
    return;
  }
  check(output <= 65536, where, "dilation (got ", dilation, " for an input of ", input, " pixels)");
  for (std::size_t i = 0; i < output; ++i) {
    const std::size_t start = i * stride;  // in padded coordinates: the input lies at before .. before + input - 1
    const std::size_t first = start >= before ? 0 : (before - start + dilation - 1) / dilation;
    check(first < kernel && start + first * dilation < before + input, where, "window ", i, " lies in the padding altogether");
  }
}

/// One overload or branch per way in which an output size arises; channels come from the graph.
struct ShapeRule {
  std::span<const Shape> in;
  std::size_t channels;
  std::string_view where;

  [[nodiscard]] Shape keep() const { return {in[0].height, in[0].width, channels}; }
  void same_size(std::size_t i) const {
    check(in[i].height == in[0].height && in[i].width == in[0].width, where, "size of input ", i, " (got ", in[i], ", expected ",
          in[0].height, "x", in[0].width, ")");
  }
  [[nodiscard]] Shape all_same_size() const {
    for (std::size_t i = 1; i < in.size(); ++i) same_size(i);
    return keep();
  }
  [[nodiscard]] Shape windowed(const Window& w) const {
    const Shape out = window_shape(in[0], w, channels, where);
    if (in.size() > 1) check_equal(in[1], out, where, "shape of the residual");
    return out;
  }

  template <class Op>
  [[nodiscard]] Shape operator()(const Op&) const {
    return all_same_size();
  }
  [[nodiscard]] Shape operator()(const Conv2dNode& n) const { return windowed(n.window); }
  [[nodiscard]] Shape operator()(const BinaryConv2dNode& n) const { return windowed(n.window); }
  [[nodiscard]] Shape operator()(const MaxPool2dNode& n) const {
    const Window& w = n.window;
    const Shape out = windowed(w);
    check_window_meets(in[0].height, out.height, w.kernel[0], w.stride[0], w.dilation[0], w.padding.top, where);
    check_window_meets(in[0].width, out.width, w.kernel[1], w.stride[1], w.dilation[1], w.padding.left, where);
    return out;
  }
  [[nodiscard]] Shape operator()(const AvgPool2dNode& n) const {
    return windowed({.kernel = n.kernel, .stride = n.stride, .padding = n.padding});
  }
  [[nodiscard]] Shape operator()(const AdaptiveAvgPool2dNode& n) const { return {n.size[0], n.size[1], channels}; }
  [[nodiscard]] Shape operator()(const MultiplyNode&) const {
    if (in[1].height != 1 || in[1].width != 1) same_size(1);
    return keep();
  }
  [[nodiscard]] Shape operator()(const ResizeNode& n) const {
    if (in.size() == 2) return {in[1].height, in[1].width, channels};
    if (n.factor == 0) return {n.size[0], n.size[1], channels};
    return {(Checked(in[0].height) * n.factor).size(), (Checked(in[0].width) * n.factor).size(), channels};
  }
  [[nodiscard]] Shape operator()(const LinearNode&) const {
    check(in[0].height == 1 && in[0].width == 1, where, "input (got ", in[0], ", expected 1x1 pixels)");
    return keep();
  }
};

/// Multiply-accumulates (or comparable steps) an output element costs.
struct WorkRule {
  std::span<const Shape> in;
  const Shape& out;

  [[nodiscard]] static Checked taps(const std::array<std::size_t, 2>& kernel) { return Checked(kernel[0]) * kernel[1]; }
  template <class Op>
  [[nodiscard]] Checked operator()(const Op&) const {
    return in.empty() ? 1 : in.size();
  }
  [[nodiscard]] Checked operator()(const Conv2dNode& n) const { return taps(n.window.kernel) * (in[0].channels / n.groups); }
  [[nodiscard]] Checked operator()(const BinaryConv2dNode& n) const { return taps(n.window.kernel) * (in[0].channels / n.groups); }
  [[nodiscard]] Checked operator()(const BinaryAttentionNode& n) const {
    // out has T*C channels; the convolutions make C channels each
    const std::size_t convs = n.gates.size() + n.messages.size();
    return taps(n.kernel) * in[0].channels * ((convs + n.targets.size() - 1) / n.targets.size());
  }
  [[nodiscard]] Checked operator()(const MaxPool2dNode& n) const { return taps(n.window.kernel); }
  [[nodiscard]] Checked operator()(const AvgPool2dNode& n) const { return taps(n.kernel); }
  [[nodiscard]] Checked operator()(const AdaptiveAvgPool2dNode& n) const {
    return Checked(in[0].height / n.size[0] + 2) * (in[0].width / n.size[1] + 2);
  }
  [[nodiscard]] Checked operator()(const LinearNode&) const { return in[0].channels; }
};

}  // namespace detail

struct ShapedGraph {
  std::vector<Shape> shapes;        ///< of every node's value
  std::vector<std::uint64_t> work;  ///< multiply-accumulates of every node
};

/// Shape and work of one node for inputs of the given shapes. `input` is the shape of the network's input.
[[nodiscard]] inline Shape infer_shape(const Graph& graph, NodeId id, std::span<const Shape> inputs, const Shape& input) {
  const Node& node = graph.nodes()[id];
  const std::string where = describe(id, node);
  const Shape shape = id == 0 ? input : std::visit(detail::ShapeRule{inputs, graph.values()[id].channels, where}, node.op);
  check(shape.height >= 1 && shape.width >= 1 && shape.height <= max_extent && shape.width <= max_extent, where,
        "output size (got ", shape, ", expected 1 to ", max_extent, " pixels a side)");
  const Checked elements = Checked(shape.height) * shape.width * shape.channels;
  check(elements.value() <= max_elements, where, "output too large (got ", shape, ", expected at most ", max_elements,
        " elements)");
  return shape;
}

/// Shapes and work of all nodes for a height x width input. Throws Error that names the first node that cannot take it.
[[nodiscard]] inline ShapedGraph infer_shapes(const Graph& graph, std::size_t height, std::size_t width) {
  check(height > 0 && width > 0 && height <= max_extent && width <= max_extent, "input", "size (got ", height, "x", width,
        ", expected 1 to ", max_extent, " pixels a side)");
  check(height % graph.stride() == 0 && width % graph.stride() == 0, "input",
        "height and width must be multiples of the stride (got ", height, "x", width, ", expected multiples of ", graph.stride(),
        ")");
  const Shape input{height, width, graph.values()[0].channels};
  ShapedGraph result;
  std::vector<Shape> inputs;
  for (NodeId id = 0; id < graph.nodes().size(); ++id) {
    inputs.clear();
    for (const NodeId i : graph.nodes()[id].inputs) inputs.push_back(result.shapes[i]);
    const Shape shape = infer_shape(graph, id, inputs, input);
    const Checked per_element = std::visit(detail::WorkRule{inputs, shape}, graph.nodes()[id].op);
    result.shapes.push_back(shape);
    result.work.push_back((per_element * shape.height * shape.width * shape.channels).value());
  }
  return result;
}

}  // namespace bimtdp
