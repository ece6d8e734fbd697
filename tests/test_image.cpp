// SPDX-License-Identifier: Apache-2.0
// Pixels at both ends: normalising, sizes, resizing, colouring, overlays, panels.
#include <bimtdp/image/colour.hpp>
#include <bimtdp/image/postprocess.hpp>
#include <bimtdp/image/preprocess.hpp>
#include <bimtdp/image/resize.hpp>
#include <bimtdp/image/size.hpp>
#include <bimtdp/io/digest.hpp>
#include <bimtdp/io/replay.hpp>

#include "catch.hpp"
#include "graphs.hpp"

#include <cmath>
#include <cstdlib>
#include <set>
#include <string>

using namespace bimtdp;

TEST_CASE("normalising goes through a table made in double") {
  const Normalizer normalizer({0.485, 0.456, 0.406}, {0.229, 0.224, 0.225});
  Image photo({1, 256, 3});
  for (std::size_t x = 0; x < 256; ++x)
    for (std::size_t c = 0; c < 3; ++c) photo(0, x, c) = static_cast<std::uint8_t>(x);
  const Tensor<float> out = normalizer.run(photo);
  CHECK(out(0, 0, 0) == static_cast<float>(-0.485 / 0.229));
  CHECK(out(0, 255, 2) == static_cast<float>((1.0 - 0.406) / 0.225));
  CHECK(out(0, 77, 1) == static_cast<float>((77 / 255.0 - 0.456) / 0.224));
  CHECK_THROWS_AS(Normalizer({0, 0, 0}, {1, 0, 1}), Error);
  CHECK_THROWS_AS(Normalizer({0, 0, 0}, {1, -1, 1}), Error);
  CHECK_THROWS_AS(Normalizer({NAN, 0, 0}, {1, 1, 1}), Error);
  CHECK_THROWS_AS(Normalizer({0, 0, 0}, {1, 1e-300, 1}), Error);
  CHECK_THROWS_AS((void)normalizer.run(Image({2, 2, 4})), Error);
}

TEST_CASE("resizing photos") {
  const Image photo = test::noise_photo(13, 17);
  const Image same = resize_photo(photo, 13, 17);
  CHECK(std::equal(photo.span().begin(), photo.span().end(), same.span().begin()));
  Image flat({9, 9, 3});
  std::fill(flat.span().begin(), flat.span().end(), std::uint8_t{113});
  for (const auto& [h, w] : {std::pair<std::size_t, std::size_t>{4, 31}, {30, 2}, {1, 1}}) {
    const Image resized = resize_photo(flat, h, w);
    for (const std::uint8_t value : resized.span()) CHECK(value == 113);
  }
  Image ramp({1, 4, 1});  // 0 80 160 240, halved: averages of pairs with a little of the neighbours
  for (std::size_t x = 0; x < 4; ++x) ramp(0, x, 0) = static_cast<std::uint8_t>(80 * x);
  const Image half = resize_photo(ramp, 1, 2), twice = resize_photo(ramp, 1, 8);
  CHECK(half(0, 0, 0) + half(0, 1, 0) == 240);
  CHECK(twice(0, 0, 0) == 0);
  CHECK(twice(0, 1, 0) == 20);
  CHECK(twice(0, 2, 0) == 60);
  CHECK_THROWS_AS((void)resize_photo(photo, 0, 3), Error);
  CHECK_THROWS_AS((void)resize_photo(Image(), 2, 3), Error);
}

TEST_CASE("photos and normals have the same bits whatever the compiler may fuse") {
  const Image photo = resize_photo(self_test_photo(120, 160, 2), 96, 131);
  const Tensor<float> normals = unit_normals(Normalizer({0.485, 0.456, 0.406}, {0.229, 0.224, 0.225}).run(photo));
  CHECK(digest(std::as_bytes(photo.span())) == "b02465a8cfc4f886c29856fd87634734");
  CHECK(digest(std::as_bytes(normals.span())) == "2a110d5e012421db441198cbd9c3d301");
}

TEST_CASE("crops and sizes") {
  const Image photo = test::noise_photo(8, 9);
  const Image part = crop(photo, 2, 3, 4, 5);
  CHECK(part.shape() == Shape{4, 5, 3});
  CHECK(part(0, 0, 1) == photo(2, 3, 1));
  CHECK(part(3, 4, 2) == photo(5, 7, 2));
  CHECK_THROWS_AS((void)crop(photo, 5, 0, 4, 1), Error);
  CHECK_THROWS_AS((void)crop(photo, 0, ~std::size_t{0}, 1, 2), Error);
  CHECK(nearest_multiple(480, 32) == 480);
  CHECK(nearest_multiple(490, 32) == 480);
  CHECK(nearest_multiple(500, 32) == 512);
  CHECK(nearest_multiple(3, 32) == 32);
  CHECK(nearest_multiple(Size{100, 133}, 32) == Size{96, 128});
  CHECK_THROWS_AS((void)nearest_multiple(Size{0, 32}, 32), Error);
  CHECK_THROWS_AS((void)nearest_multiple(Size{32, max_extent + 1}, 32), Error);
}

TEST_CASE("a photo runs at the preferred area, at its own proportions") {
  CHECK(network_size({480, 640}, {192, 256}, 32) == Size{192, 256});
  CHECK(network_size({768, 512}, {256, 320}, 32) == Size{352, 224});  // 350.5 x 233.7
  CHECK(network_size({96, 128}, {192, 256}, 32) == Size{192, 256});   // small photos are enlarged
  CHECK(network_size({1200, 1600}, {0, 0}, 16) == Size{240, 320});    // no preference
  CHECK(network_size({1, 1}, {0, 0}, 1) == Size{277, 277});           // the root of 76800 is 277.1
  CHECK(network_size({1, max_extent}, {1024, 1024}, 32) == Size{32, max_extent / 2});
  CHECK_THROWS_AS((void)network_size({0, 640}, {192, 256}, 32), Error);
  CHECK_THROWS_AS((void)network_size({480, 640}, {192, 256}, 0), Error);
}

TEST_CASE("pictures are shown within a longest side") {
  CHECK(size_within({480, 640}, 640) == Size{480, 640});
  CHECK(size_within({7, 5}, 640) == Size{7, 5});
  CHECK(size_within({1511, 2017}, 640) == Size{479, 640});  // 479.4
  CHECK(size_within({2000, 1}, 640) == Size{640, 1});
  CHECK_THROWS_AS((void)size_within({480, 0}, 640), Error);
  CHECK_THROWS_AS((void)size_within({480, 640}, 0), Error);
}

TEST_CASE("labels, normals and edges") {
  Tensor<float> scores({1, 2, 3});
  const float values[] = {1, 3, 3, -1, -2, -3};
  std::copy_n(values, 6, scores.data());
  const LabelMap labels = argmax(scores);
  CHECK(labels(0, 0, 0) == 1);  // the first on ties
  CHECK(labels(0, 1, 0) == 0);
  const LabelMap large = resize_labels<std::int32_t>(labels, 3, 4);
  CHECK(large(2, 1, 0) == 1);
  CHECK(large(2, 2, 0) == 0);

  Tensor<float> normals({1, 2, 3});
  normals(0, 0, 2) = -4;
  const Tensor<float> unit = unit_normals(normals);
  CHECK(unit(0, 0, 2) == -1);
  CHECK(unit(0, 1, 0) == 0);
  const Image rgb = colour_normals(normals);
  CHECK(rgb(0, 0, 2) == 0);
  CHECK(rgb(0, 0, 0) == 128);

  Tensor<float> edges({1, 3, 1});
  edges(0, 0, 0) = -100;
  edges(0, 2, 0) = 100;
  const Image grey = colour_edges(edges);
  CHECK(grey(0, 0, 0) == 0);
  CHECK(grey(0, 1, 1) == 128);
  CHECK(grey(0, 2, 2) == 255);
}

TEST_CASE("a palette's colours differ") {
  const std::vector<Colour> colours = palette(40);
  int closest = 1000;
  for (std::size_t a = 0; a < colours.size(); ++a)
    for (std::size_t b = 0; b < a; ++b) {
      int distance = 0;
      for (std::size_t c = 0; c < 3; ++c) distance += std::abs(int{colours[a][c]} - int{colours[b][c]});
      closest = std::min(closest, distance);
    }
  CHECK(closest >= 20);
  LabelMap labels({1, 3, 1});
  labels(0, 0, 0) = 5;
  labels(0, 1, 0) = -1;
  labels(0, 2, 0) = 40;
  const Image picture = colour_labels(labels, colours);
  CHECK(picture(0, 0, 0) == colours[5][0]);
  CHECK(picture(0, 1, 0) == 0);
  CHECK(picture(0, 2, 2) == 0);
}

TEST_CASE("depth is light where it is near") {
  Tensor<float> depth({1, 4, 1});
  depth(0, 0, 0) = 1;
  depth(0, 1, 0) = 2;
  depth(0, 2, 0) = 5;
  depth(0, 3, 0) = NAN;
  const Image picture = colour_depth(depth);
  const auto brightness = [&](std::size_t x) { return picture(0, x, 0) + picture(0, x, 1) + picture(0, x, 2); };
  CHECK(brightness(0) > brightness(1));
  CHECK(brightness(1) > brightness(2));
  CHECK(brightness(3) == brightness(2));
  int last = -1;
  for (int i = 0; i <= 100; ++i) {  // the scale gets brighter all the way
    const Colour c = scale_colour(i / 100.0);
    const int sum = 299 * c[0] + 587 * c[1] + 114 * c[2];
    CHECK(sum > last);
    last = sum;
  }
  CHECK_NOTHROW((void)colour_depth(Tensor<float>({2, 2, 1})));
}

TEST_CASE("an overlay is nine parts of the grey photo and eleven of the colours") {
  Image photo({1, 2, 3}), colours({1, 2, 3});
  std::fill_n(photo.data(), 3, std::uint8_t{255});
  photo(0, 1, 1) = 100;  // green: 6 parts of 10 in grey
  colours(0, 0, 2) = 200, colours(0, 1, 0) = 255;
  const Image both = overlay(photo, colours);
  const std::uint8_t expected[] = {114, 114, 224, 167, 27, 27};
  CHECK(std::equal(both.span().begin(), both.span().end(), expected));
  CHECK_THROWS_AS((void)overlay(photo, Image({2, 1, 3})), Error);
  CHECK_THROWS_AS((void)overlay(Image({1, 2, 1}), Image({1, 2, 1})), Error);
}

TEST_CASE("panels") {
  std::vector<Image> pictures(3, Image({2, 3, 3}));
  const Image all = panel(pictures, 2, 1);
  CHECK(all.shape() == Shape{7, 9, 3});
  CHECK(all(0, 0, 0) == 255);
  CHECK(all(1, 1, 0) == 0);
  CHECK(all(5, 5, 0) == 255);  // the empty fourth place
  pictures.push_back(Image({2, 4, 3}));
  CHECK_THROWS_AS((void)panel(pictures, 2), Error);
  CHECK_THROWS_AS((void)panel({}, 2), Error);
}
