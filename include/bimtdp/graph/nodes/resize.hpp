// SPDX-License-Identifier: Apache-2.0
// Resizing.
#pragma once

#include <bimtdp/graph/nodes/contract.hpp>
#include <bimtdp/ops/resize.hpp>

namespace bimtdp {

enum class ResizeMode { bilinear, nearest };

/// Resize by `factor`, to `size`, or (both 0) to the height and width of the second input.
struct ResizeNode {
  static constexpr std::string_view op = "resize";
  ResizeMode mode = ResizeMode::bilinear;
  std::size_t factor = 0;
  std::array<std::size_t, 2> size{0, 0};
};

inline constexpr Names<ResizeMode, 2> resize_mode_names{{{"bilinear", ResizeMode::bilinear}, {"nearest", ResizeMode::nearest}}};

template <>
struct NodeTraits<ResizeNode> {
  using Op = std::variant<ops::ResizeBilinear, ops::ResizeNearest>;
  static constexpr bool by_rows = true;
  static constexpr WorkUnit work_unit = WorkUnit::bytes;
  static void fields(auto& a, auto& n) {
    a.choice("mode", n.mode, resize_mode_names);
    a.optional_integer("factor", n.factor);
    a.optional_pair("size", n.size);
  }
  static ValueInfo validate(const ResizeNode& n, const NodeCheck& c) {
    c.inputs_between(1, 2);
    const bool sized = n.size[0] != 0 || n.size[1] != 0;
    const int ways = (n.factor != 0) + sized + (c.input_count() == 2);
    c.demand(ways == 1, "expected exactly one of factor, size and a second input (got ", ways, ")");
    if (n.factor != 0) c.extent("factor", n.factor);
    if (sized) c.extents("size", n.size);
    const bool nearest_bits = n.mode == ResizeMode::nearest && c.input(0).type == ValueType::bits;
    if (!nearest_bits) c.input_type(0, ValueType::floats);
    return c.input(0);
  }
  static Shape shape(const ResizeNode& n, const NodeShapes& s) {
    if (s.in.size() == 2) return {s.in[1].height, s.in[1].width, s.channels};
    if (n.factor == 0) return {n.size[0], n.size[1], s.channels};
    return {(Checked(s.in[0].height) * n.factor).size(), (Checked(s.in[0].width) * n.factor).size(), s.channels};
  }
  /// A row of the value lies between two rows anywhere in the input; of the second input only the size counts.
  static RowUse row_use(const ResizeNode&, std::size_t input, std::span<const Shape>) {
    return input == 0 ? RowUse::whole : RowUse::none;
  }
  static Checked work(const ResizeNode&, std::span<const Shape> in, const Shape&) { return in.size(); }
  static std::optional<std::size_t> overwrites(const ResizeNode&, std::size_t) { return std::nullopt; }
  static bool writes_strided(const ResizeNode& n) { return n.mode == ResizeMode::bilinear; }
  static Op prepare(const ResizeNode& n, const NodePreparation&) {
    if (n.mode == ResizeMode::nearest) return ops::ResizeNearest{};
    return ops::ResizeBilinear{};
  }
  static std::size_t scratch_bytes(const Op& op, std::span<const Shape> in, const Shape& out) {
    const auto* bilinear = std::get_if<ops::ResizeBilinear>(&op);
    return bilinear ? bilinear->scratch_bytes(in[0], out.height, out.width) : 0;
  }
  static void run(const Op& op, const NodeRows& r) {
    if (const auto* bilinear = std::get_if<ops::ResizeBilinear>(&op))
      return bilinear->run_rows(r.floats(), r.height, r.first_row, r.strided_out(), r.workspace);
    const auto& nearest = std::get<ops::ResizeNearest>(op);
    r.as_either([&](const auto& in, const auto& out) { nearest.run_rows(in, r.height, r.first_row, out, r.workspace); });
  }
};

}  // namespace bimtdp
