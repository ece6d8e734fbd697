// SPDX-License-Identifier: Apache-2.0
// A profile as a trace file: the JSON "trace event format" that Perfetto (https://ui.perfetto.dev) and chrome://tracing open.
#pragma once

#include <bimtdp/io/json_value.hpp>
#include <bimtdp/run/profile.hpp>

#include <cstddef>
#include <ostream>
#include <utility>
#include <vector>

namespace bimtdp {

/// Writes every event as a slice on its thread's track, with the node's work as arguments. Neighbouring events of one node on
/// one thread are kept apart: they are bands of rows.
inline void write_trace(std::ostream& out, const Profile& profile) {
  std::vector<const NodeProfile*> of_node;
  for (const NodeProfile& node : profile.nodes) {
    if (node.node >= of_node.size()) of_node.resize(node.node + 1, nullptr);
    of_node[node.node] = &node;
  }
  out << R"({"displayTimeUnit":"ns","traceEvents":[)";
  for (const ProfileEvent& event : profile.events) {
    const NodeProfile& node = *of_node[event.node];
    JsonValue::Object arguments{{"step", node.step},        {"words", node.cost.words},     {"macs", node.cost.macs},
                                {"bytes", node.cost.bytes}, {"bound_us", node.bound * 1e6}, {"node_us", node.seconds * 1e6}};
    const JsonValue slice(JsonValue::Object{{"name", node.description},
                                            {"ph", "X"},
                                            {"pid", 1},
                                            {"tid", event.thread},
                                            {"ts", static_cast<double>(event.begin) * 1e-3},
                                            {"dur", static_cast<double>(event.end - event.begin) * 1e-3},
                                            {"args", std::move(arguments)}});
    out << (&event == &profile.events.front() ? "\n" : ",\n") << slice.to_text();
  }
  out << "\n]}\n";
}

}  // namespace bimtdp
