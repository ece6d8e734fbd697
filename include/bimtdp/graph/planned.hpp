// SPDX-License-Identifier: Apache-2.0
// What a plan consists of: planned values and planned steps.
#pragma once

#include <bimtdp/graph/cost.hpp>
#include <bimtdp/graph/limits.hpp>
#include <bimtdp/graph/rows.hpp>
#include <bimtdp/graph/steps.hpp>
#include <bimtdp/graph/value.hpp>

#include <cstddef>
#include <vector>

namespace bimtdp {

struct PlanOptions {
  std::size_t threads = 1;
  bool keep_all = false;  ///< every value stays readable after the run, every node is a step of its own: for verification
  Limits limits{};
  bool outputs_apart = false;  ///< float outputs are written to the caller's memory instead of the arena; not with keep_all
  /// How many bytes the nodes of a step write before the next rows' turn. With weights and inputs it should fit the L2 cache.
  std::size_t band_bytes = std::size_t{1} << 19;
};

enum class Place {
  arena,
  band,    ///< of the step that makes it
  caller,  ///< the memory of a float output
  inside   ///< the value that a concat makes of it
};

struct PlannedValue {
  Shape shape{};
  ValueType type = ValueType::floats;
  Place place = Place::arena;
  std::size_t offset = 0;      ///< bytes in the arena or in the band's memory, a multiple of 64; the caller's output; first channel
  NodeId inside = 0;           ///< the concat
  std::size_t row_bytes = 0;   ///< of one row
  std::size_t bytes = 0;       ///< of all rows, or of a band
  std::vector<RowUse> uses{};  ///< how the node that makes it uses the rows of its inputs

  /// How many of its rows count as one row of the step.
  [[nodiscard]] std::size_t rows_per(const Step& step) const { return shape.height / step.rows; }
};

struct PlannedStep : Step {
  std::size_t band = 0;       ///< rows that run through all nodes before the next rows do
  std::vector<Cost> costs{};  ///< of each node
  [[nodiscard]] Cost cost() const {
    Cost sum;
    for (const Cost& cost : costs) sum += cost;
    return sum;
  }
};

}  // namespace bimtdp
