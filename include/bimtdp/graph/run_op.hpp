// SPDX-License-Identifier: Apache-2.0
// Scratch size and execution of a prepared op on values: turns ValueRefs into the views that the op takes.
#pragma once

#include <bimtdp/graph/prepare.hpp>
#include <bimtdp/graph/rows.hpp>
#include <bimtdp/graph/value.hpp>
#include <bimtdp/ops/execution.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <variant>

namespace bimtdp::detail {

/// Scratch bytes of an op for inputs and an output of these shapes.
struct ScratchRule {
  std::span<const Shape> in;
  const Shape& out;
  std::size_t threads;

  std::size_t operator()(std::monostate) const { return 0; }
  std::size_t operator()(const ops::Unpack& op) const { return op.scratch_bytes(in[0], threads); }
  std::size_t operator()(const ops::Add& op) const { return op.scratch_bytes(in, threads); }
  std::size_t operator()(const ops::Concat& op) const { return op.scratch_bytes(in, threads); }
  std::size_t operator()(const ops::Multiply& op) const { return op.scratch_bytes(in[0], in[1], threads); }
  std::size_t operator()(const ops::ResizeBilinear& op) const { return op.scratch_bytes(in[0], out.height, out.width, threads); }
  std::size_t operator()(const ops::ResizeNearest& op) const { return op.scratch_bytes(in[0], out.height, out.width, threads); }
  template <class Op>
  std::size_t operator()(const Op& op) const {
    return op.scratch_bytes(in[0], threads);
  }
};

/// The shape that the op itself gives; the plan compares it with the graph's inference.
struct OutputShapeRule {
  std::span<const Shape> in;
  const Shape& out;

  Shape operator()(std::monostate) const { return out; }
  Shape operator()(const ops::Add& op) const { return op.output_shape(in); }
  Shape operator()(const ops::Concat& op) const { return op.output_shape(in); }
  Shape operator()(const ops::Multiply& op) const { return op.output_shape(in[0], in[1]); }
  Shape operator()(const ops::ResizeBilinear& op) const { return op.output_shape(in[0], out.height, out.width); }
  Shape operator()(const ops::ResizeNearest& op) const { return op.output_shape(in[0], out.height, out.width); }
  template <class Op>
  Shape operator()(const Op& op) const {
    return op.output_shape(in[0]);
  }
};

struct OpRunner {
  std::span<const ValueRef> in;
  const ValueRef& out;
  const ops::Execution& execution;

  using FloatViews = std::array<TensorView<const float>, max_inputs>;
  using BitViews = std::array<BitView<const std::uint32_t>, max_inputs>;

  void fill(FloatViews& views, std::size_t begin = 0) const {
    for (std::size_t i = begin; i < in.size(); ++i) views[i - begin] = in[i].floats();
  }
  void fill(BitViews& views, std::size_t count) const {
    for (std::size_t i = 0; i < count; ++i) views[i] = in[i].bits();
  }
  [[nodiscard]] BitView<const std::uint32_t> bits_in() const { return in[0].bits(); }
  [[nodiscard]] TensorView<const float> residual() const { return in.size() > 1 ? in[1].floats() : TensorView<const float>{}; }

  void operator()(std::monostate) const {}
  void operator()(const ops::Conv2d& op) const { op.run(in[0].floats(), out.floats(), execution, residual()); }
  void operator()(const ops::BinaryConv2d& op) const {
    if (out.type == ValueType::integers) return op.run(bits_in(), out.integers(), execution);
    if (out.type == ValueType::bits) return op.run(bits_in(), out.bits(), execution);
    op.run(bits_in(), out.floats(), execution, residual());
  }
  void operator()(const ops::Binarize& op) const { op.run(in[0].floats(), out.bits(), execution); }
  void operator()(const ops::Unpack& op) const { op.run(bits_in(), out.floats(), execution); }
  void operator()(const ops::BinaryAttention& op) const {
    attention(
        [&](const auto& sources, const auto& identities, const auto& result) { op.run(sources, identities, result, execution); });
  }
  /// Calls call(sources, identities, out) with an attention's inputs.
  template <class Call>
  void attention(Call&& call) const {
    std::size_t sources = 0;
    while (sources < in.size() && in[sources].type == ValueType::bits) ++sources;
    BitViews bits;
    FloatViews identities;
    fill(bits, sources);
    fill(identities, sources);
    const auto bit_span = std::span<const BitView<const std::uint32_t>>(bits).first(sources);
    const auto identity_span = std::span<const TensorView<const float>>(identities).first(in.size() - sources);
    if (out.type == ValueType::bits) return call(bit_span, identity_span, out.bits());
    call(bit_span, identity_span, out.floats());
  }
  void operator()(const ops::Add& op) const {
    FloatViews views;
    fill(views);
    op.run(std::span<const TensorView<const float>>(views).first(in.size()), out.floats(), execution);
  }
  void operator()(const ops::Multiply& op) const { op.run(in[0].floats(), in[1].floats(), out.floats(), execution); }
  void operator()(const ops::Concat& op) const {
    if (out.type == ValueType::bits) {
      BitViews views;
      fill(views, in.size());
      return op.run(std::span<const BitView<const std::uint32_t>>(views).first(in.size()), out.bits(), execution);
    }
    FloatViews views;
    fill(views);
    op.run(std::span<const TensorView<const float>>(views).first(in.size()), out.floats(), execution);
  }
  /// Ops that take one map of either type and keep the type.
  template <class Op>
  void either(const Op& op) const {
    if (out.type == ValueType::bits) return op.run(bits_in(), out.bits(), execution);
    op.run(in[0].floats(), out.floats(), execution);
  }
  void operator()(const ops::MaxPool2d& op) const { either(op); }
  void operator()(const ops::ResizeNearest& op) const { either(op); }
  void operator()(const ops::Slice& op) const { either(op); }
  template <class Op>
  void operator()(const Op& op) const {
    op.run(in[0].floats(), out.floats(), execution);
  }
};

/// Runs rows first_row, first_row + 1, ... of a node: `op.out` and inputs of RowUse::same hold these rows alone. Ops whose
/// rows need other rows of the input take them from the whole map; all others are run on the rows as on a small map.
struct RowsRunner {
  const OpRunner& op;
  RowUse first_input;
  std::size_t first_row;
  const Shape& whole;  // shape of the node's value

  void operator()(const ops::Conv2d& conv) const {
    if (first_input == RowUse::same) return op(conv);
    conv.run_rows(op.in[0].floats(), first_row, op.out.floats(), op.execution, op.residual());
  }
  void operator()(const ops::BinaryConv2d& conv) const {
    if (first_input == RowUse::same) return op(conv);
    if (op.out.type == ValueType::integers) return conv.run_rows(op.bits_in(), first_row, op.out.integers(), op.execution);
    if (op.out.type == ValueType::bits) return conv.run_rows(op.bits_in(), first_row, op.out.bits(), op.execution);
    conv.run_rows(op.bits_in(), first_row, op.out.floats(), op.execution, op.residual());
  }
  void operator()(const ops::BinaryAttention& attention) const {
    op.attention([&](const auto& sources, const auto& identities, const auto& out) {
      attention.run_rows(sources, identities, first_row, out, op.execution);
    });
  }
  void operator()(const ops::ResizeBilinear& resize) const {
    resize.run_rows(op.in[0].floats(), whole.height, first_row, op.out.floats(), op.execution, op.out.stride);
  }
  void operator()(const ops::ResizeNearest& resize) const {
    if (op.out.type == ValueType::bits) return resize.run_rows(op.bits_in(), whole.height, first_row, op.out.bits(), op.execution);
    resize.run_rows(op.in[0].floats(), whole.height, first_row, op.out.floats(), op.execution);
  }
  void operator()(const ops::MaxPool2d& pool) const {
    if (first_input == RowUse::same) return op(pool);
    if (op.out.type == ValueType::bits) return pool.run_rows(op.bits_in(), first_row, op.out.bits(), op.execution);
    pool.run_rows(op.in[0].floats(), first_row, op.out.floats(), op.execution);
  }
  void operator()(const ops::AveragePool2d& pool) const {
    if (first_input == RowUse::same) return op(pool);
    pool.run_rows(op.in[0].floats(), first_row, op.out.floats(), op.execution);
  }
  template <class Op>
  void operator()(const Op& other) const {
    op(other);
  }
};

}  // namespace bimtdp::detail
