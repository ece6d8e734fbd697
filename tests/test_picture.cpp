// SPDX-License-Identifier: Apache-2.0
// A network's maps read at a photo's size, and their pictures, for every kind.
#include <bimtdp/image/picture.hpp>
#include <bimtdp/ops/resize.hpp>

#include "catch.hpp"
#include "errors.hpp"
#include "graphs.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

using namespace bimtdp;
using test::error_of;
using test::holds;

namespace {

Tensor<float> noise(const Shape& shape) {
  Tensor<float> map(shape);
  test::Numbers random(5);
  std::generate(map.span().begin(), map.span().end(), [&] { return random.next(); });
  return map;
}

template <class T>
bool equal(const Tensor<T>& a, const Tensor<T>& b) {
  return a.shape() == b.shape() && std::equal(a.span().begin(), a.span().end(), b.span().begin());
}

/// A map of 1 x 2 pixels of the given values.
PhotoMap map_of(OutputKind kind, const std::vector<float>& values, std::vector<std::string> names = {}) {
  Tensor<float> map({1, 2, values.size() / 2});
  std::copy(values.begin(), values.end(), map.data());
  return {"task", kind, std::move(names), read_map(kind, map, {1, 2})};
}

}  // namespace

TEST_CASE("maps are resized first and read then") {
  for (const Size& size : {Size{1, 1}, Size{3, 5}, Size{7, 4}, Size{6, 10}, Size{31, 17}}) {
    const auto resized = [&](const Tensor<float>& map) { return ops::resize_bilinear(map, size.height, size.width); };
    const auto floats = [&](OutputKind kind, const Tensor<float>& map) {
      return std::get<Tensor<float>>(read_map(kind, map, size));
    };
    const Tensor<float> one = noise({3, 5, 1}), three = noise({3, 5, 3});
    CHECK(equal(std::get<LabelMap>(read_map(OutputKind::classes, three, size)), argmax(resized(three))));
    CHECK(equal(floats(OutputKind::depth, one), resized(one)));
    CHECK(equal(floats(OutputKind::normals, three), unit_normals(resized(three))));
    CHECK(equal(floats(OutputKind::edges, one), sigmoid(resized(one))));
    CHECK(equal(floats(OutputKind::raw, three), resized(three)));
  }
  CHECK_THROWS_AS((void)read_map(OutputKind::classes, Tensor<float>({2, 2, 0}), {4, 4}), Error);
  CHECK_THROWS_AS((void)read_map(OutputKind::depth, Tensor<float>({2, 2, 1}), {4, 0}), Error);
}

TEST_CASE("classes of a large photo, some rows at a time") {
  const Tensor<float> scores = noise({7, 5, 200});
  CHECK(equal(labels_at(scores, {131, 100}), argmax(ops::resize_bilinear(scores, 131, 100))));  // 13 rows are a strip
  CHECK(equal(labels_at(scores, {3, 1500}), argmax(ops::resize_bilinear(scores, 3, 1500))));    // a row is more than one
}

TEST_CASE("a map knows whether it holds class numbers") {
  const PhotoMap classes = map_of(OutputKind::classes, {0, 1, 5, 2}, {"a", "b"}), depth = map_of(OutputKind::depth, {2, 4});
  CHECK(classes.labels()(0, 0, 0) == 1);
  CHECK(classes.labels()(0, 1, 0) == 0);
  CHECK(depth.floats()(0, 1, 0) == 4);
  CHECK(error_of([&] { (void)classes.floats(); }) == "map of the task 'task': holds no floats");
  CHECK(error_of([&] { (void)depth.labels(); }) == "map of the task 'task': holds no class numbers");
}

TEST_CASE("the picture of every kind") {
  Image photo({1, 2, 3});
  std::fill(photo.span().begin(), photo.span().end(), std::uint8_t{100});
  const PhotoMap classes = map_of(OutputKind::classes, {0, 1, 5, 2}, {"wall", "floor"});
  const std::optional<Picture> segmentation = picture(classes, photo);
  REQUIRE(segmentation.has_value());
  CHECK(segmentation->caption == "segmentation");
  CHECK(equal(segmentation->image, overlay(photo, colour_labels(classes.labels(), palette(2)))));
  REQUIRE(segmentation->legend.size() == 2);
  CHECK(segmentation->legend[0].name == "wall");  // as frequent as the floor: the first

  const Tensor<float> normals = noise({4, 6, 3}), scores = noise({4, 6, 1});
  const Image large({4, 6, 3});
  const auto pictured = [&](OutputKind kind, const Tensor<float>& map) {
    return picture({"task", kind, {}, read_map(kind, map, {4, 6})}, large).value();
  };
  CHECK(equal(pictured(OutputKind::normals, normals).image, colour_normals(normals)));
  CHECK(equal(pictured(OutputKind::edges, scores).image, colour_edges(scores)));
  CHECK(equal(pictured(OutputKind::depth, scores).image, colour_depth(scores)));
  CHECK(pictured(OutputKind::normals, normals).caption == "surface normals");
  CHECK(pictured(OutputKind::edges, scores).caption == "edges");
  CHECK(pictured(OutputKind::edges, scores).legend.empty());

  const Picture depth = picture(map_of(OutputKind::depth, {1.26f, 10}), photo).value();
  CHECK(depth.caption == "depth 1.3 to 10.0 m");
  CHECK((depth.image(0, 0, 0) == 252 && depth.image(0, 1, 0) == 8));  // near is light, far is dark
  CHECK(caption(map_of(OutputKind::depth, {NAN, INFINITY})) == "depth");

  CHECK_FALSE(picture(map_of(OutputKind::raw, {1, 2}), photo).has_value());
  CHECK(caption(map_of(OutputKind::raw, {1, 2})) == "task");
  CHECK(holds(error_of([&] { (void)picture(classes, Image({2, 1, 3})); }), {"'task'", "got 2x1x3", "expected 1x2x3"}));
}

TEST_CASE("a legend names the classes that occur, the most frequent first") {
  LabelMap labels({1, 200, 1});
  std::fill_n(labels.data(), 200, 2);
  std::fill_n(labels.data(), 29, 0);
  labels(0, 199, 0) = 3, labels(0, 198, 0) = -1, labels(0, 197, 0) = 7;  // the last two have no name
  const std::vector<std::string> names{"wall", "floor", "bed", "lamp"};
  const std::vector<Colour> colours = palette(4);
  const std::vector<LegendEntry> entries = legend(labels, names, colours);
  REQUIRE(entries.size() == 3);
  CHECK((entries[0].name == "bed" && entries[0].percent == 84 && entries[0].colour == colours[2]));
  CHECK((entries[1].name == "wall" && entries[1].percent == 15));  // 14.5
  CHECK((entries[2].name == "lamp" && entries[2].percent == 1));   // 0.5
  CHECK(legend(LabelMap(), names, colours).empty());
  CHECK_THROWS_AS((void)legend(labels, names, palette(3)), Error);
}
