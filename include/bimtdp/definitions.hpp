// SPDX-License-Identifier: Apache-2.0
// What BIMTDP_INLINE declares, defined; but for the kernels of the tiers, which stand in kernels/tiers.hpp.
#pragma once

#include <bimtdp/graph/dataflow.hpp>
#include <bimtdp/graph/graph.hpp>
#include <bimtdp/graph/program.hpp>
#include <bimtdp/io/json.hpp>
#include <bimtdp/io/model.hpp>
#include <bimtdp/io/model_json.hpp>
#include <bimtdp/io/runner.hpp>
#include <bimtdp/plan/plan.hpp>
#include <bimtdp/run/describe.hpp>

#include <bimtdp/graph/dataflow.inl>
#include <bimtdp/graph/graph.inl>
#include <bimtdp/graph/program.inl>
#include <bimtdp/io/json.inl>
#include <bimtdp/io/model.inl>
#include <bimtdp/io/model_json.inl>
#include <bimtdp/io/runner.inl>
#include <bimtdp/plan/plan.inl>
#include <bimtdp/run/describe.inl>
