// SPDX-License-Identifier: Apache-2.0
// Photos of any size through a model: the size they run at, maps of the photo's size, files of the network's maps.
#include <bimtdp/bimtdp.hpp>

#include "catch.hpp"
#include "errors.hpp"
#include "graphs.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

using namespace bimtdp;

namespace {

/// A task of every kind, each a sum of a pixel's red, green and blue, 0 to 1, times these weights.
const std::vector<float> class_weights{1, 0, 0, 0, 1, 0, 0, 0, 1}, depth_weights{1, 2, 4}, edge_weights{0, 0, -8},
    raw_weights{0.5f, 0, 0, 0, 0.25f, 0};

Model every_kind() {
  GraphBuilder g;
  const NodeId image = g.input(3);
  const auto task = [&](const std::string& name, OutputKind kind, const std::vector<float>& weights,
                        std::vector<std::string> names = {}) {
    const WeightName weight = g.floats({weights.size() / 3, 1, 1, 3}, weights);
    const NodeId node = g.add(name, Conv2dNode{.window = square_window(1), .weight = weight}, {image});
    g.output({.task = name, .node = node, .kind = kind, .class_names = std::move(names)});
  };
  task("segmentation", OutputKind::classes, class_weights, {"red", "green", "blue"});
  task("depth", OutputKind::depth, depth_weights);
  task("normals", OutputKind::normals, class_weights);
  task("edges", OutputKind::edges, edge_weights);
  task("other", OutputKind::raw, raw_weights);
  ModelInfo info;
  info.preprocessing = {.mean = {0, 0, 0}, .deviation = {1, 1, 1}, .height = 16, .width = 24};
  return Model(g.build(/*stride=*/4), info);
}

std::string bytes_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_CASE("a model's size for a photo") {
  const Model model = every_kind();
  CHECK(network_size(model, {480, 720}) == Size{16, 24});
  CHECK(network_size(model, {720, 480}) == Size{24, 16});
  CHECK(network_size(model, {480, 720}, Size{9, 31}) == Size{8, 32});
  const Image photo = test::noise_photo(31, 47);
  const Image input = network_input(model, photo), expected = resize_photo(photo, 16, 24);
  CHECK(input.shape() == expected.shape());
  CHECK(std::equal(input.span().begin(), input.span().end(), expected.span().begin()));
  CHECK_THROWS_AS((void)network_size(model, {0, 480}), Error);
  CHECK_THROWS_AS((void)network_size(model, {480, 480}, Size{0, 480}), Error);
  CHECK_THROWS_AS((void)network_input(model, Image()), Error);
}

TEST_CASE("every task says of every pixel of the photo what it is") {
  Runner runner(every_kind(), {.threads = 1});
  const Image photo = test::noise_photo(8, 12);
  const std::vector<PhotoMap> maps = predict_photo(runner, photo, Size{8, 12});  // nothing is resized
  REQUIRE(maps.size() == 5);
  CHECK((maps[0].task == "segmentation" && maps[4].task == "other" && maps[3].kind == OutputKind::edges));
  CHECK(maps[0].class_names == std::vector<std::string>{"red", "green", "blue"});
  for (std::size_t y = 0; y < 8; ++y)
    for (std::size_t x = 0; x < 12; ++x) {
      const std::uint8_t* rgb = photo.view().pixel(y, x);
      const double red = rgb[0] / 255.0, green = rgb[1] / 255.0, blue = rgb[2] / 255.0;
      const double length = std::sqrt(red * red + green * green + blue * blue);
      CHECK(maps[0].labels()(y, x, 0) == std::max_element(rgb, rgb + 3) - rgb);
      CHECK(std::abs(maps[1].floats()(y, x, 0) - (red + 2 * green + 4 * blue)) < 1e-5);
      CHECK(std::abs(maps[2].floats()(y, x, 2) - blue / length) < 1e-5);
      CHECK(std::abs(maps[3].floats()(y, x, 0) - 1 / (1 + std::exp(8 * blue))) < 1e-5);
      CHECK(std::abs(maps[4].floats()(y, x, 1) - green / 4) < 1e-5);
    }
}

TEST_CASE("maps have the photo's size, however odd that is") {
  Runner runner(every_kind(), {.threads = 1});
  for (const Size& size : {Size{1, 1}, Size{5, 3}, Size{33, 57}, Size{97, 2}}) {
    const Image photo = test::noise_photo(size.height, size.width);
    const std::vector<PhotoMap> maps = predict_photo(runner, photo);
    const Predictions& predictions = runner.run(network_input(runner.model(), photo));
    CHECK(maps[0].labels().shape() == Shape{size.height, size.width, 1});
    for (std::size_t i = 1; i < maps.size(); ++i) CHECK(size_of(maps[i].floats().shape()) == size);
    const Tensor<float> depth = ops::resize_bilinear(predictions["depth"], size.height, size.width);
    CHECK(std::equal(depth.span().begin(), depth.span().end(), maps[1].floats().data()));
    for (const PhotoMap& map : maps) CHECK(picture(map, photo).has_value() == (map.kind != OutputKind::raw));
  }
  CHECK_THROWS_AS((void)predict_photo(runner, Image()), Error);
  CHECK_THROWS_AS((void)predict_photo(runner, Image({8, 8, 1})), Error);
}

TEST_CASE("the network's maps are written a file a task") {
  const Predictions predictions = every_kind().run(test::noise_photo(8, 12));
  const auto folder = std::filesystem::temp_directory_path() / "bimtdp_test_photo";
  std::filesystem::create_directories(folder);
  write_maps(folder / "", predictions);
  write_maps(folder / "photo.", predictions);
  for (const Predictions::Task& task : predictions) {
    std::ostringstream expected;
    write_npy(expected, task.map);
    CHECK(bytes_of(folder / (task.name + ".npy")) == expected.str());
    CHECK(bytes_of(folder / ("photo." + task.name + ".npy")) == expected.str());
  }
  std::filesystem::remove_all(folder);
  CHECK(test::error_of([&] { write_maps(folder / "", predictions); }) ==
        (folder / "segmentation.npy").string() + ": cannot be written (No such file or directory)");
}
