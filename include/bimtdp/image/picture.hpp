// SPDX-License-Identifier: Apache-2.0
// The picture of a task's map by its kind, with what a front end writes beside it: a caption and the legend of the classes.
#pragma once

#include <bimtdp/core/error.hpp>
#include <bimtdp/core/text_stream.hpp>
#include <bimtdp/image/colour.hpp>
#include <bimtdp/image/image.hpp>
#include <bimtdp/image/photo_map.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iomanip>
#include <ios>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace bimtdp {

/// A class that a picture shows.
struct LegendEntry {
  std::string name{};
  Colour colour{};
  std::size_t percent = 0;  ///< of the pixels, rounded
};

/// The classes that occur, the most frequent first. Labels without a name, as of unlabelled pixels, are left out. Throws
/// Error unless there is a colour for every name.
[[nodiscard]] inline std::vector<LegendEntry> legend(const LabelMap& labels, std::span<const std::string> names,
                                                     std::span<const Colour> colours) {
  check_equal(colours.size(), names.size(), "legend", "number of colours");
  std::vector<std::size_t> counts(names.size()), order;
  for (const std::int32_t label : labels.span())
    if (label >= 0 && static_cast<std::size_t>(label) < counts.size()) ++counts[static_cast<std::size_t>(label)];
  for (std::size_t i = 0; i < names.size(); ++i)
    if (counts[i] > 0) order.push_back(i);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return counts[a] > counts[b]; });
  const std::size_t pixels = labels.span().size();
  std::vector<LegendEntry> entries;
  for (const std::size_t i : order) entries.push_back({names[i], colours[i], (100 * counts[i] + pixels / 2) / pixels});
  return entries;
}

/// The map in colours: classes by palette(), depth from its nearest to its farthest value, normals as RGB, edges as grey.
/// Nothing for raw values.
[[nodiscard]] inline std::optional<Image> colour_map(const PhotoMap& map) {
  if (map.kind == OutputKind::classes) return colour_labels(map.labels(), palette(map.class_names.size()));
  if (map.kind == OutputKind::depth) return colour_depth(map.floats());
  if (map.kind == OutputKind::normals) return colour_unit_normals(map.floats());
  if (map.kind == OutputKind::edges) return colour_probabilities(map.floats());
  return std::nullopt;
}

/// What the picture of a map shows, in a few ASCII words.
[[nodiscard]] inline std::string caption(const PhotoMap& map) {
  if (map.kind == OutputKind::classes) return "segmentation";
  if (map.kind == OutputKind::normals) return "surface normals";
  if (map.kind == OutputKind::edges) return "edges";
  if (map.kind == OutputKind::raw) return map.task;
  const auto [nearest, farthest] = finite_range(map.floats());
  if (nearest > farthest) return "depth";  // no finite value
  TextStream text;
  text << std::fixed << std::setprecision(1) << "depth " << nearest << " to " << farthest << " m";
  return text.str();
}

struct Picture {
  Image image{};
  std::string caption{};
  std::vector<LegendEntry> legend{};  ///< of the kind classes
};

/// colour_map() with caption and legend; classes lie over the grey photo. Nothing for raw values. Throws Error unless the
/// photo has the map's size.
[[nodiscard]] inline std::optional<Picture> picture(const PhotoMap& map, const ImageView& photo) {
  std::optional<Image> colours = colour_map(map);
  if (!colours) return std::nullopt;
  check_equal(photo.shape, colours->shape(), "picture of the task '" + map.task + "'", "shape of the photo");
  if (map.kind != OutputKind::classes) return Picture{std::move(*colours), caption(map), {}};
  const std::vector<LegendEntry> entries = legend(map.labels(), map.class_names, palette(map.class_names.size()));
  return Picture{overlay(photo, *colours), caption(map), entries};
}

}  // namespace bimtdp
