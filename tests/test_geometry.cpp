// SPDX-License-Identifier: Apache-2.0
// Both sides of every limit of windows, rows, convolutions and attention.
#include "bench.hpp"
#include "catch.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

using namespace bimtdp;
using namespace test;

TEST_CASE("windows at their borders") {
  const auto extent = [](std::size_t input, std::size_t kernel, std::size_t stride, std::size_t dilation, std::size_t before,
                         std::size_t after) {
    return error_of([&] { (void)window_extent(input, kernel, stride, dilation, before, after, "here"); });
  };
  CHECK(window_extent(max_extent, 1, 1, 1, max_extent, max_extent, "here") == 3 * max_extent);
  CHECK(window_extent(max_extent, max_extent, max_extent, 1, 0, 0, "here") == 1);
  CHECK(window_extent(1, 1, 1, max_extent, 0, 0, "here") == 1);
  CHECK(holds(extent(beyond, 1, 1, 1, 0, 0), {"here: an extent is above"}));
  CHECK(holds(extent(max_extent, beyond, 1, 1, 1, 0), {"an extent is above"}));
  CHECK(holds(extent(1, 1, beyond, 1, 0, 0), {"an extent is above"}));
  CHECK(holds(extent(1, 1, 1, beyond, 0, 0), {"an extent is above"}));
  CHECK(holds(extent(1, 1, 1, 1, beyond, 0), {"an extent is above"}));
  CHECK(holds(extent(1, 1, 1, 1, 0, beyond), {"an extent is above"}));
  CHECK(holds(extent(0, 1, 1, 1, 1, 0), {"must be positive"}));
  CHECK(holds(extent(1, 0, 1, 1, 0, 0), {"must be positive"}));
  CHECK(holds(extent(1, 1, 0, 1, 0, 0), {"must be positive"}));
  CHECK(holds(extent(1, 1, 1, 0, 0, 0), {"must be positive"}));
  CHECK(extent(2, 3, 1, 1, 1, 0).empty());
  CHECK(holds(extent(2, 3, 1, 1, 0, 0), {"does not fit into the padded input (got 3 pixels, expected at most 2)"}));
}

TEST_CASE("rows of a map at their borders") {
  const auto rows = [](const Shape& part, std::size_t first) {
    return error_of([&] { check_rows(part, first, {8, 6, 4}, "here"); });
  };
  CHECK(rows({8, 6, 4}, 0).empty());
  CHECK(rows({3, 6, 4}, 5).empty());
  CHECK(rows({0, 6, 4}, 8).empty());
  for (const auto& [part, first] : {std::pair<Shape, std::size_t>{{3, 6, 4}, 6},
                                    {{9, 6, 4}, 0},
                                    {{0, 6, 4}, 9},
                                    {{1, 6, 4}, 9},
                                    {{8, 5, 4}, 0},
                                    {{8, 6, 3}, 0}})
    CHECK(holds(rows(part, first), {"here: rows (got"}));
}

TEST_CASE("convolutions at their borders") {
  const auto conv = [](const Window& w, std::size_t groups = 1, std::size_t in = 1, std::size_t out = 1) {
    return error_of([&] { (void)ops::check_convolution(w, groups, in, out, "here"); });
  };
  const std::size_t M = max_extent;
  CHECK(conv({.kernel = {1, M}, .stride = {M, M}, .dilation = {M, M}, .padding = {M, M, M, M}}).empty());
  CHECK(conv({.kernel = {M, 1}}).empty());
  CHECK(conv({}, M, M, M).empty());
  for (const Window& w :
       std::vector<Window>{{.kernel = {beyond, 1}}, {.kernel = {1, beyond}}, {.kernel = {0, 1}}, {.kernel = {1, 0}}})
    CHECK(holds(conv(w), {"here: kernel (got"}));
  for (const Window& w :
       std::vector<Window>{{.stride = {beyond, 1}}, {.stride = {1, beyond}}, {.stride = {0, 1}}, {.stride = {1, 0}}})
    CHECK(holds(conv(w), {"here: stride (got"}));
  for (const Window& w : std::vector<Window>{{.dilation = {beyond, 1}}, {.dilation = {1, 0}}})
    CHECK(holds(conv(w), {"dilation (got"}));
  for (const Padding& p : {Padding{beyond, 0, 0, 0}, {0, beyond, 0, 0}, {0, 0, beyond, 0}, {0, 0, 0, beyond}})
    CHECK(holds(conv({.padding = p}), {"here: padding (got"}));
  CHECK(holds(conv({}, 1, beyond, 1), {"input channels (got"}));
  CHECK(holds(conv({}, 1, 0, 1), {"input channels (got 0"}));
  CHECK(holds(conv({}, 1, 1, beyond), {"output channels (got"}));
  CHECK(holds(conv({}, 1, 1, 0), {"output channels (got 0"}));
  CHECK(holds(conv({}, 0, 1, 1), {"groups (got 0"}));
  CHECK(holds(conv({}, beyond, 1, 1), {"groups (got 1048577, expected 1 to"}));
  CHECK(holds(conv({}, 2, 4, 3), {"groups (got 2, expected a divisor"}));
  CHECK(holds(conv({}, 2, 3, 4), {"groups (got 2, expected a divisor"}));
  CHECK(conv({.kernel = {4096, 4096}}).empty());  // 2^24 products
  CHECK(holds(conv({.kernel = {97, 257}}, 1, 673), {"kernel too large (got 16777217"}));

  const auto binary = [](const Window& w) { return error_of([&] { ops::BinaryCounts::check_geometry(w, 1, 1, 1, "here"); }); };
  CHECK(binary({.kernel = {256, 256}}).empty());
  CHECK(holds(binary({.kernel = {1, 65537}}), {"kernel (got 65537 taps"}));
  CHECK(holds(binary({.kernel = {1, 1}, .stride = {0, 1}}), {"stride (got 0"}));
  const std::uint64_t word = 1;
  const ops::BinaryCounts counts(kernels::reference_table(), {}, 1, 1, 1, std::span(&word, 1), "here");
  CHECK(holds(error_of([&] { (void)counts.stretches({0, 5, 1}); }), {"here: empty input"}));
}

TEST_CASE("a map of windows at its borders") {
  const auto stretches = [](const Shape& input, const Window& w) {
    return error_of([&] { (void)ops::WindowStretches(input, w, "here"); });
  };
  CHECK(stretches({max_extent, 1, 1}, {}).empty());
  CHECK(stretches({1, max_extent, 1}, {}).empty());
  CHECK(holds(stretches({max_extent, 1, 1}, {.padding = {1, 0, 0, 0}}), {"output of 1048577x1x1"}));
  CHECK(holds(stretches({1, max_extent, 1}, {.padding = {0, 0, 0, 1}}), {"output of 1x1048577x1"}));
}

TEST_CASE("an attention at its borders") {
  using namespace bimtdp::ops;
  const auto attention = [](auto change, std::size_t sources = 2, std::vector<std::size_t> targets = {0}) {
    std::vector<AttentionConv> gates(targets.size()), messages(sources);
    BinaryAttentionParameters p{.channels = C, .sources = sources, .targets = targets, .window = square_window(3)};
    p.gates = gates, p.messages = messages;
    change(p);
    return error_of([&] { check_attention(p, "here"); });
  };
  const auto same = [](auto&) {};
  CHECK(attention(same).empty());
  CHECK(attention(same, 64).empty());
  CHECK(holds(attention(same, 65), {"here: sources (got 65"}));
  CHECK(holds(attention(same, 0), {"sources (got 0"}));
  CHECK(attention(same, 2, {1, 0}).empty());
  CHECK(holds(attention(same, 2, {1, 0, 1}), {"targets (got 3"}));
  CHECK(holds(attention(same, 2, {}), {"targets (got 0"}));
  CHECK(holds(attention(same, 2, {2}), {"targets (got source 2"}));
  CHECK(holds(attention([](auto& p) { p.gates = p.gates.first(0); }), {"number of gates"}));
  CHECK(holds(attention([](auto& p) { p.messages = p.messages.first(1); }), {"number of messages"}));
  CHECK(holds(attention([](auto& p) { p.channels = beyond; }), {"channels (got 1048577"}));
  for (const std::size_t axis : {0u, 1u}) {
    CHECK(holds(attention([&](auto& p) { p.window.stride[axis] = 2; }), {"stride and dilation must be 1"}));
    CHECK(holds(attention([&](auto& p) { p.window.dilation[axis] = 2; }), {"stride and dilation must be 1"}));
    CHECK(holds(attention([&](auto& p) { ++p.window.kernel[axis]; }), {"padding must keep the size"}));
  }
}
