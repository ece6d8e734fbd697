// SPDX-License-Identifier: Apache-2.0
// Plan: where every value lies while a graph runs on one input size, and what the run costs - before it runs.
// Values whose lifetimes do not meet share bytes of one arena; some ops overwrite their dying input.
#pragma once

#include <bimtdp/core/aligned.hpp>
#include <bimtdp/core/checked.hpp>
#include <bimtdp/graph/limits.hpp>
#include <bimtdp/graph/program.hpp>
#include <bimtdp/graph/shapes.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <utility>
#include <variant>
#include <vector>

namespace bimtdp {

struct PlanOptions {
  std::size_t threads = 1;
  bool keep_all = false;  ///< every value stays readable after the run: for verification
  Limits limits{};
};

struct PlannedValue {
  Shape shape{};
  ValueType type = ValueType::floats;
  std::size_t offset = 0;  ///< in the arena, a multiple of 64
  std::size_t bytes = 0;
};

class Plan {
 public:
  /// Plans a run on a height x width input. Throws Error for a size that the graph cannot take and when a limit is passed.
  Plan(const Program& program, std::size_t height, std::size_t width, const PlanOptions& options = {})
      : threads_(options.threads), keep_all_(options.keep_all) {
    check(threads_ >= 1 && threads_ <= ops::max_threads, "plan", "threads (got ", threads_, ", expected 1 to ", ops::max_threads,
          ")");
    const Graph& graph = program.graph();
    const ShapedGraph shaped = infer_shapes(graph, height, width);
    Checked macs = 0;
    for (const std::uint64_t work : shaped.work) macs = macs + work;
    macs_ = macs.value();
    check(macs_ <= options.limits.max_macs, "plan", "too much work for the limits (got ", macs_,
          " multiply-accumulates, expected at most ", options.limits.max_macs, ")");
    for (NodeId id = 0; id < shaped.shapes.size(); ++id) {
      const ValueType type = graph.values()[id].type;
      values_.push_back({shaped.shapes[id], type, 0, value_bytes(type, shaped.shapes[id])});
    }
    place(graph);
    add_scratch(program);
    check(arena_bytes_ <= options.limits.max_bytes, "plan", "too much memory for the limits (got ", arena_bytes_,
          " bytes, expected at most ", options.limits.max_bytes, ")");
  }

  [[nodiscard]] const std::vector<PlannedValue>& values() const { return values_; }
  /// Bytes of the arena: all values and, behind them, the scratch memory.
  [[nodiscard]] std::size_t arena_bytes() const { return arena_bytes_; }
  [[nodiscard]] std::size_t scratch_bytes() const { return scratch_bytes_; }
  [[nodiscard]] std::size_t scratch_offset() const { return arena_bytes_ - scratch_bytes_; }
  [[nodiscard]] std::uint64_t macs() const { return macs_; }
  [[nodiscard]] std::size_t threads() const { return threads_; }
  [[nodiscard]] bool keeps_all() const { return keep_all_; }
  [[nodiscard]] const Shape& input() const { return values_.front().shape; }

  [[nodiscard]] ValueRef value(NodeId id, std::span<std::byte> arena) const {
    const PlannedValue& v = values_[id];
    return {v.type, v.shape, arena.data() + v.offset};
  }

 private:
  /// A stretch of the arena that one value, or a chain of values overwriting each other, needs from `first` to `last`.
  struct Block {
    std::size_t bytes = 0;
    NodeId first = 0, last = 0;
    std::size_t offset = 0;
  };

  /// Ops that may write their result over their first input.
  static bool may_overwrite(const NodeOp& op) {
    return std::holds_alternative<AffineNode>(op) || std::holds_alternative<ActivationNode>(op) ||
           std::holds_alternative<AddNode>(op) || std::holds_alternative<MultiplyNode>(op) ||
           std::holds_alternative<SoftmaxNode>(op) || std::holds_alternative<L2NormalizeNode>(op);
  }

  /// The last node that reads each value; outputs, and in kept mode all values, outlive the last node.
  [[nodiscard]] std::vector<NodeId> last_uses(const Graph& graph) const {
    const std::size_t count = graph.nodes().size();
    std::vector<NodeId> last(count);
    for (NodeId id = 0; id < count; ++id) {
      last[id] = keep_all_ ? count : id;
      for (const NodeId input : graph.nodes()[id].inputs) last[input] = std::max(last[input], id);
    }
    for (const Output& output : graph.outputs()) last[output.node] = count;
    return last;
  }

  void place(const Graph& graph) {
    const std::vector<NodeId> last = last_uses(graph);
    std::vector<Block> blocks;
    std::vector<std::size_t> block_of(values_.size());
    for (NodeId id = 0; id < values_.size(); ++id) {
      const Node& node = graph.nodes()[id];
      const auto dies_here = [&](NodeId input) {
        return last[input] == id && std::count(node.inputs.begin(), node.inputs.end(), input) == 1;
      };
      if (may_overwrite(node.op) && dies_here(node.inputs[0])) {
        block_of[id] = block_of[node.inputs[0]];
        blocks[block_of[id]].last = last[id];
      } else {
        block_of[id] = blocks.size();
        blocks.push_back({Checked(values_[id].bytes).align_up(alignment).size(), id, last[id]});
      }
    }
    arena_bytes_ = pack(blocks).size();
    for (NodeId id = 0; id < values_.size(); ++id) values_[id].offset = blocks[block_of[id]].offset;
  }

  /// Gives the blocks offsets, largest first, each at the lowest place where no block of an overlapping lifetime lies.
  static Checked pack(std::vector<Block>& blocks) {
    std::vector<std::size_t> order(blocks.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return blocks[a].bytes > blocks[b].bytes; });
    std::vector<const Block*> placed;  // by offset
    Checked total = 0;
    for (const std::size_t index : order) {
      Block& block = blocks[index];
      Checked offset = 0;
      for (const Block* other : placed) {
        if (other->last < block.first || block.last < other->first) continue;
        if ((offset + block.bytes).value() <= other->offset) break;
        offset = std::max(offset, Checked(other->offset) + other->bytes);
      }
      block.offset = offset.size();
      total = std::max(total, offset + block.bytes);
      const auto after = [](std::size_t value, const Block* b) { return value < b->offset; };
      placed.insert(std::upper_bound(placed.begin(), placed.end(), block.offset, after), &block);
    }
    return total;
  }

  void add_scratch(const Program& program) {
    std::vector<Shape> inputs;
    for (NodeId id = 0; id < values_.size(); ++id) {
      const Node& node = program.graph().nodes()[id];
      inputs.clear();
      for (const NodeId input : node.inputs) inputs.push_back(values_[input].shape);
      const Shape& out = values_[id].shape;
      check_equal(std::visit(detail::OutputShapeRule{inputs, out}, program.op(id)), out, describe(id, node),
                  "output shape of the op");
      scratch_bytes_ = std::max(scratch_bytes_, std::visit(detail::ScratchRule{inputs, out, threads_}, program.op(id)));
    }
    scratch_bytes_ = Checked(scratch_bytes_).align_up(alignment).size();
    arena_bytes_ = (Checked(arena_bytes_) + scratch_bytes_).size();
  }

  std::size_t threads_;
  bool keep_all_;
  std::vector<PlannedValue> values_;
  std::size_t arena_bytes_ = 0;
  std::size_t scratch_bytes_ = 0;
  std::uint64_t macs_ = 0;
};

}  // namespace bimtdp
