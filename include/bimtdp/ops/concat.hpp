// SPDX-License-Identifier: Apache-2.0
// Channels of several maps behind each other, and ranges of channels; of floats and of bits (which move at any bit offset
// without being unpacked).
#pragma once

#include <bimtdp/core/bit_tensor.hpp>
#include <bimtdp/core/tensor.hpp>
#include <bimtdp/kernels/select.hpp>
#include <bimtdp/ops/workspace.hpp>

#include <type_traits>
#include <vector>

namespace bimtdp::ops {

class Concat {
 public:
  [[nodiscard]] Shape output_shape(std::span<const Shape> inputs) const {
    demand(!inputs.empty(), where, "no inputs");
    Shape out = inputs[0];
    out.channels = 0;
    for (const Shape& shape : inputs) add(out, shape);
    return out;
  }

  /// An input without data was written to its place in `out` by whoever made it, and is left alone.
  void run(std::span<const TensorView<const float>> in, const TensorView<float>& out, const Workspace& workspace) const {
    check_inputs(in, out.shape, workspace);
    for (std::size_t y = 0; y < out.shape.height; ++y) {
      std::size_t at = 0;
      for (const auto& map : in) {
        if (map.data != nullptr)
          for (std::size_t x = 0; x < out.shape.width; ++x) std::copy_n(map.pixel(y, x), map.shape.channels, out.pixel(y, x) + at);
        at += map.shape.channels;
      }
    }
  }
  template <class Word>
  void run(std::type_identity_t<std::span<const BitView<const Word>>> in, const BitView<Word>& out,
           const Workspace& workspace) const {
    check_inputs(in, out.shape, workspace);
    for (const auto& map : in) debug_check_tail(map, where);
    for (std::size_t y = 0; y < out.shape.height; ++y)
      for (std::size_t x = 0; x < out.shape.width; ++x) {
        Word* to = out.pixel(y, x);
        std::fill_n(to, out.words(), Word{0});
        std::size_t at = 0;
        for (const auto& map : in) {
          copy_bits<Word>(map.pixel(y, x), 0, map.shape.channels, to, at);
          at += map.shape.channels;
        }
      }
  }

 private:
  static constexpr std::string_view where = "concat";

  static void add(Shape& sum, const Shape& shape) {
    demand(shape.height == sum.height && shape.width == sum.width, where, "input size (got ", shape, ", expected ", sum.height, "x",
           sum.width, ")");
    demand(shape.channels <= max_extent && sum.channels + shape.channels <= max_extent, where, "more than ", max_extent,
           " channels");
    sum.channels += shape.channels;
  }
  template <class View>
  static void check_inputs(std::span<const View> in, const Shape& out, const Workspace& workspace) {
    demand(!in.empty(), where, "no inputs");
    Shape sum = in[0].shape;
    sum.channels = 0;
    for (const View& map : in) add(sum, map.shape);
    check_equal(out, sum, where, "output shape");
    check_workspace(workspace, 0, where);
  }
};

/// Channels begin..end-1.
class Slice {
 public:
  Slice(std::size_t begin, std::size_t end) : begin_(begin), end_(end) {
    demand(begin < end, where, "empty range ", begin, " to ", end);
  }

  [[nodiscard]] Shape output_shape(const Shape& input) const {
    demand(end_ <= input.channels, where, "end (got ", end_, ", expected at most ", input.channels, ")");
    return {input.height, input.width, end_ - begin_};
  }

  void run(const TensorView<const float>& in, const TensorView<float>& out, const Workspace& workspace) const {
    check_equal(out.shape, output_shape(in.shape), where, "output shape");
    check_workspace(workspace, 0, where);
    for (std::size_t y = 0; y < out.shape.height; ++y)
      for (std::size_t x = 0; x < out.shape.width; ++x) std::copy_n(in.pixel(y, x) + begin_, end_ - begin_, out.pixel(y, x));
  }
  template <class Word>
  void run(const std::type_identity_t<BitView<const Word>>& in, const BitView<Word>& out, const Workspace& workspace) const {
    check_equal(out.shape, output_shape(in.shape), where, "output shape");
    check_workspace(workspace, 0, where);
    debug_check_tail(in, where);
    for (std::size_t y = 0; y < out.shape.height; ++y)
      for (std::size_t x = 0; x < out.shape.width; ++x) {
        Word* to = out.pixel(y, x);
        to[out.words() - 1] = 0;  // tail bits
        copy_bits(in.pixel(y, x), begin_, end_ - begin_, to, 0);
      }
  }

 private:
  static constexpr std::string_view where = "slice";
  std::size_t begin_, end_;
};

// -- one call each: allocates and runs ------------------------------------------------------------------------------------

[[nodiscard]] inline Tensor<float> concat(std::span<const TensorView<const float>> in,
                                          const kernels::KernelTable& kernels = kernels::active()) {
  std::vector<Shape> shapes;
  for (const auto& map : in) shapes.push_back(map.shape);
  Tensor<float> out(Concat().output_shape(shapes));
  Concat().run(in, out.view(), OwnWorkspace(kernels));
  return out;
}
template <class Word>
[[nodiscard]] BitTensor<Word> concat(std::span<const BitView<const Word>> in,
                                     const kernels::KernelTable& kernels = kernels::active()) {
  std::vector<Shape> shapes;
  for (const auto& map : in) shapes.push_back(map.shape);
  BitTensor<Word> out(Concat().output_shape(shapes));
  Concat().run(in, out.view(), OwnWorkspace(kernels));
  return out;
}
template <class Word>
[[nodiscard]] BitTensor<Word> slice(const BitTensor<Word>& in, std::size_t begin, std::size_t end,
                                    const kernels::KernelTable& kernels = kernels::active()) {
  const Slice op(begin, end);
  BitTensor<Word> out(op.output_shape(in.shape()));
  op.run(in.view(), out.view(), OwnWorkspace(kernels));
  return out;
}

}  // namespace bimtdp::ops
