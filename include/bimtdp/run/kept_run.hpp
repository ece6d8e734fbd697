// SPDX-License-Identifier: Apache-2.0
// KeptRun: a run after which every value can be read, for verification.
#pragma once

#include <bimtdp/core/aligned.hpp>
#include <bimtdp/run/run.hpp>

#include <algorithm>
#include <cstddef>

namespace bimtdp {

class KeptRun {
 public:
  /// Runs on a normalised map. Throws Error for a size that the graph cannot take and when a limit is passed.
  KeptRun(const Program& program, const TensorView<const float>& input, const Limits& limits = {}, std::size_t threads = 1)
      : plan_(program, input.shape.height, input.shape.width, {.threads = threads, .keep_all = true, .limits = limits}),
        arena_(plan_.arena_bytes()) {
    check_equal(input.shape, plan_.input(), "input", "shape");
    std::copy_n(input.data, input.shape.elements(), value(0).floats().data);
    Team team(threads);
    run(program, plan_, team, arena_);
  }
  [[nodiscard]] ValueRef value(NodeId id) { return plan_.value(id, arena_); }
  [[nodiscard]] std::size_t count() const { return plan_.values().size(); }

 private:
  Plan plan_;
  AlignedVector<std::byte> arena_;
};

}  // namespace bimtdp
