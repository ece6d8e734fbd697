// SPDX-License-Identifier: Apache-2.0
// What the library must know of an operation, and where it says so: for each kind of node N a struct N of fields and beside it
// NodeTraits<N>. Everything else - file format, checks, plan, run, profile - asks NodeTraits and knows no operation by name, but
// for the input and the concat, into which others may write.
//
//   N::op                            its name in the model file
//   fields(archive, n)               the fields, each with its name in the file; reader and writer are archives
//   demand(n, NodeCheck)              validates what needs no input size; type and channels of the value
//   shape(n, NodeShapes)             height and width of the value
//   row_use(n, input, shapes)        which rows of an input the rows of the value need
//   by_rows                          whether rows of the value can be computed one apart from the other
//   work(n, shapes, out), work_unit  how much an element of the value costs, and of what
//   overwrites(n, inputs)            the input whose memory the value may take, element by element
//   writes_strided(n)                whether it can write into every n-th channel of another value
//   Op, prepare(n, NodePreparation)  the op of ops/ that computes it, with its weights packed
//   scratch_bytes(op, shapes, out)   scratch memory of one thread
//   run(op, NodeRows)                computes some rows
#pragma once

#include <bimtdp/core/checked.hpp>
#include <bimtdp/graph/nodes/check.hpp>
#include <bimtdp/graph/nodes/spec.hpp>
#include <bimtdp/graph/value.hpp>
#include <bimtdp/graph/weights.hpp>
#include <bimtdp/ops/epilogue.hpp>
#include <bimtdp/ops/workspace.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

namespace bimtdp {

template <class N>
struct NodeTraits;

/// Which rows of an input an output row needs: what decides whether nodes can run together, row by row.
enum class RowUse {
  none,  ///< only the input's shape
  same,  ///< the row of the same index; where the input has n times as many rows, its n rows at the same place
  whole  ///< any row
};

/// What a node's work is counted in: xor and popcount of a bit pair, float multiply-adds, or nothing but the bytes it moves.
enum class WorkUnit { bit_pairs, macs, bytes };

/// The shapes of a node's inputs, when that of its value is asked for.
struct NodeShapes {
  std::span<const Shape> in;
  std::size_t channels;    ///< of the value
  std::string_view where;  ///< for messages

  /// The size of the first input. Throws Error unless input i has it, too.
  void same_size(std::size_t i) const {
    demand(in[i].height == in[0].height && in[i].width == in[0].width, where, "size of input ", i, " (got ", in[i], ", expected ",
           in[0].height, "x", in[0].width, ")");
  }
  [[nodiscard]] Shape all_same_size() const {
    for (std::size_t i = 1; i < in.size(); ++i) same_size(i);
    return {in[0].height, in[0].width, channels};
  }
  /// What a window makes of the first input; a second input is the residual.
  [[nodiscard]] Shape windowed(const Window& w) const {
    const Shape out = window_shape(in[0], w, channels, where);
    if (in.size() > 1) check_equal(in[1], out, where, "shape of the residual");
    return out;
  }
};

/// What an op is made from, besides the node's fields.
struct NodePreparation {
  const Weights& weights;
  const kernels::KernelTable& kernels;
  std::size_t in;      ///< channels of the first input
  std::size_t out;     ///< channels of the value
  std::size_t inputs;  ///< their number

  [[nodiscard]] std::span<const float> floats(const WeightName& name) const { return weights.floats(name); }
  [[nodiscard]] ops::ActivationParameters activation(const ActivationSpec& a) const {
    return {a.kind, floats(a.slope), floats(a.shift_in), floats(a.shift_out)};
  }
};

/// Views of several inputs, without allocation.
template <class View>
struct InputViews {
  std::array<View, max_inputs> views{};
  std::size_t count = 0;
  operator std::span<const View>() const { return {views.data(), count}; }
};

/// Rows of a node's value, to be computed on one thread.
struct NodeRows {
  using FloatInputs = InputViews<TensorView<const float>>;
  using BitInputs = InputViews<BitView<const std::uint32_t>>;

  std::span<const ValueRef> in;  ///< RowUse::same: the rows that belong to those wanted; whole: the map; none: no data
  std::variant<ValueRef, StridedView<float>> destination;  ///< the wanted rows alone
  std::size_t first_row = 0;  ///< the first wanted one among the rows that the op makes of in[0]; of the same rows it is 0
  std::size_t height = 0;     ///< of the whole value
  ops::Workspace workspace{};

  /// Where the rows go, for nodes that write a value of their own.
  [[nodiscard]] const ValueRef& out() const { return std::get<ValueRef>(destination); }
  /// The same for nodes that may write into another value.
  [[nodiscard]] StridedView<float> strided_out() const {
    if (const auto* strided = std::get_if<StridedView<float>>(&destination)) return *strided;
    return out().floats();
  }
  [[nodiscard]] TensorView<const float> floats(std::size_t i = 0) const { return in[i].floats(); }
  [[nodiscard]] BitView<const std::uint32_t> bits(std::size_t i = 0) const { return in[i].bits(); }
  /// The second input, or no data.
  [[nodiscard]] TensorView<const float> residual() const { return in.size() > 1 ? floats(1) : TensorView<const float>{}; }
  /// Inputs first to the last, floats.
  [[nodiscard]] FloatInputs float_inputs(std::size_t first = 0) const {
    FloatInputs result;
    for (std::size_t i = first; i < in.size(); ++i) result.views[result.count++] = floats(i);
    return result;
  }
  /// Inputs 0 to end - 1, bits.
  [[nodiscard]] BitInputs bit_inputs(std::size_t end) const {
    BitInputs result;
    for (std::size_t i = 0; i < end; ++i) result.views[result.count++] = bits(i);
    return result;
  }
  /// Calls call(first input, out) as bits or as floats, whichever both of them are.
  template <class Call>
  void as_either(Call&& call) const {
    if (in[0].type == ValueType::bits) return call(bits(), out().bits());
    call(floats(), out().floats());
  }
};

// -- bases of NodeTraits: what several kinds of nodes have in common -----------------------------------------------------------

/// The value has memory of its own, and its pixels lie side by side.
struct OwnMemory {
  static std::optional<std::size_t> overwrites(const auto&, std::size_t) { return std::nullopt; }
  static bool writes_strided(const auto&) { return false; }
};

/// The op needs no scratch memory.
struct NoScratch {
  static std::size_t scratch_bytes(const auto&, std::span<const Shape>, const Shape&) { return 0; }
};

/// Every row of the value is made of the same row of all inputs, which have its size. Bounded by the bytes it moves.
struct RowwiseNode : OwnMemory, NoScratch {
  static constexpr bool by_rows = true;
  static constexpr WorkUnit work_unit = WorkUnit::bytes;
  static Shape shape(const auto&, const NodeShapes& s) { return s.all_same_size(); }
  static RowUse row_use(const auto&, std::size_t, std::span<const Shape>) { return RowUse::same; }
  static Checked work(const auto&, std::span<const Shape> in, const Shape&) { return in.size(); }
};

/// The same element by element, so that the value may be written over the first input.
struct PixelwiseNode : RowwiseNode {
  static std::optional<std::size_t> overwrites(const auto&, std::size_t) { return 0; }
};

/// Needs its input whole and gives its value whole.
struct WholeMapNode : OwnMemory {
  static constexpr bool by_rows = false;
  static RowUse row_use(const auto&, std::size_t, std::span<const Shape>) { return RowUse::whole; }
  static std::size_t scratch_bytes(const auto& op, std::span<const Shape> in, const Shape&) { return op.scratch_bytes(in[0]); }
  static void run(const auto& op, const NodeRows& r) { op.run(r.floats(), r.out().floats(), r.workspace); }
};

// -- the contract as a concept ---------------------------------------------------------------------------------------------------

/// What an archive of fields offers. Each call names the field; a reader assigns, a writer reads.
struct FieldArchive {
  void integer(const char* name, const std::size_t&);
  void optional_integer(const char* name, const std::size_t&);  ///< 0: absent
  void pair(const char* name, const std::array<std::size_t, 2>&);
  void optional_pair(const char* name, const std::array<std::size_t, 2>&);  ///< {0, 0}: absent
  void boolean(const char* name, const bool&);
  template <class Enum, std::size_t Count>
  void choice(const char* name, const Enum&, const Names<Enum, Count>&);
  void indices(const char* name, const std::vector<std::size_t>&);
  void padding(const char* name, const Padding&);
  void window(const Window&);  ///< kernel, stride, dilation, padding
  void weight(const char* name, const WeightName&);
  void optional_weight(const char* name, const WeightName&);  ///< "": absent
  void activation(const ActivationSpec&);
  void optional_activation(const ActivationSpec&);  ///< none: absent
  void convolutions(const char* name, const std::vector<AttentionConvSpec>&);
};

template <class N, class T = NodeTraits<N>>
concept NodeKind = requires(FieldArchive& archive, const N& n, const NodeCheck& node_check, const NodeShapes& shapes,
                            std::span<const Shape> in, const Shape& out, std::size_t i, const NodePreparation& preparation,
                            const typename T::Op& op, const NodeRows& rows) {
  { N::op } -> std::convertible_to<std::string_view>;
  T::fields(archive, n);
  { T::validate(n, node_check) } -> std::same_as<ValueInfo>;
  { T::shape(n, shapes) } -> std::same_as<Shape>;
  { T::row_use(n, i, in) } -> std::same_as<RowUse>;
  { T::by_rows } -> std::same_as<const bool&>;
  { T::work(n, in, out) } -> std::same_as<Checked>;
  { T::work_unit } -> std::same_as<const WorkUnit&>;
  { T::overwrites(n, i) } -> std::same_as<std::optional<std::size_t>>;
  { T::writes_strided(n) } -> std::same_as<bool>;
  { T::prepare(n, preparation) } -> std::same_as<typename T::Op>;
  { T::scratch_bytes(op, in, out) } -> std::same_as<std::size_t>;
  T::run(op, rows);
};

}  // namespace bimtdp
