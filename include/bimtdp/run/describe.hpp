// SPDX-License-Identifier: Apache-2.0
// A plan as text: one line a step.
#pragma once

#include <bimtdp/core/inline.hpp>
#include <bimtdp/graph/graph.hpp>
#include <bimtdp/plan/plan.hpp>

#include <cstddef>
#include <string>
#include <vector>

namespace bimtdp {

/// A table of the steps: stage, rows, rows of a band, words of xor + popcount and float multiply-adds in millions, megabytes of
/// inputs and outputs, the share of the sum of all bounds at `rates`, and the nodes with the places of their values:
/// [in the step's band], @ byte of the arena, -> the caller's map of a task, in CONCAT + first channel. At the end the rows that
/// each thread takes, where there are several.
[[nodiscard]] BIMTDP_INLINE std::string describe(const Graph& graph, const Plan& plan, const Rates& rates = {});

}  // namespace bimtdp

#if !defined(BIMTDP_COMPILED)
#include <bimtdp/run/describe.inl>
#endif
