// SPDX-License-Identifier: Apache-2.0
// dense_prediction PHOTO... --model FILE: photos in, a picture and a raw map per task out, and one panel of all.
#include <bimtdp/bimtdp.hpp>

#include "drawing.hpp"
#include "photo_io.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iomanip>
#include <iostream>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace bimtdp;
namespace fs = std::filesystem;

struct Options {
  std::vector<fs::path> photos;
  fs::path model, output = "output";
  std::size_t threads = 0, repeat = 1;
  std::vector<std::size_t> size;  ///< height and width, or empty
  bool verify = false, plan = false;
  fs::path profile;  ///< trace file, or empty
};

/// Milliseconds of one stage.
template <class Work>
double timed(Work&& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
}

std::string milliseconds(double value) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(1) << value << " ms";
  return text.str();
}

/// The network's size for a photo: about the model's preferred area at the photo's proportions, in multiples of the stride.
std::pair<std::size_t, std::size_t> network_size(const Model& model, const Shape& photo, const std::vector<std::size_t>& wanted) {
  const std::size_t stride = model.stride();
  if (!wanted.empty()) return {nearest_multiple(wanted[0], stride), nearest_multiple(wanted[1], stride)};
  const Preprocessing& preferred = model.preprocessing();
  const double area = preferred.height > 0 ? static_cast<double>(preferred.height * preferred.width) : 240.0 * 320.0;
  const double scale = std::sqrt(area / static_cast<double>(photo.pixels()));
  const auto side = [&](std::size_t extent) {
    return nearest_multiple(std::min(static_cast<std::size_t>(std::lround(static_cast<double>(extent) * scale)), max_extent / 2),
                            stride);
  };
  return {side(photo.height), side(photo.width)};
}

/// The photo at the size of the pictures: at most 640 pixels a side.
Image for_display(const Image& photo) {
  const double scale = std::min(1.0, 640.0 / static_cast<double>(std::max(photo.shape().height, photo.shape().width)));
  const auto side = [&](std::size_t extent) {
    return std::max<std::size_t>(1, static_cast<std::size_t>(std::lround(static_cast<double>(extent) * scale)));
  };
  return resize_photo(photo, side(photo.shape().height), side(photo.shape().width));
}

struct Picture {
  std::string name, caption;
  Image image;
};

std::string metres(float value) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(1) << value;
  return text.str();
}

/// One task as pictures of the photo's size; classes give the overlay and the legend.
std::vector<Picture> draw(const Output& output, const Tensor<float>& map, const Image& photo) {
  const Tensor<float> large = ops::resize_bilinear(map, photo.shape().height, photo.shape().width);
  if (output.kind == OutputKind::depth) {
    const auto [least, most] = std::minmax_element(large.span().begin(), large.span().end());
    return {{output.task, "depth " + metres(*least) + " to " + metres(*most) + " m", colour_depth(large)}};
  }
  if (output.kind == OutputKind::normals) return {{output.task, "surface normals", colour_normals(large)}};
  if (output.kind == OutputKind::edges) return {{output.task, "edges", colour_edges(large)}};
  if (output.kind != OutputKind::classes) return {};  // raw maps have no picture, only a file
  const LabelMap labels = argmax(large);
  const std::vector<Colour> colours = palette(output.class_names.size());
  return {{output.task, "segmentation", example::overlay(photo, colour_labels(labels, colours))},
          {output.task + "_legend", "", example::legend(labels, output.class_names, colours, photo.shape())}};
}

/// Writes everything of one photo to `folder`.
void write_results(const Model& model, const Predictions& predictions, const Image& photo, const fs::path& folder) {
  fs::create_directories(folder);
  std::vector<Image> panes{example::with_caption(photo, "photo")}, legends;
  for (const Output& output : model.outputs()) {
    const Tensor<float>& map = predictions[output.task];
    write_npy(folder / (output.task + ".npy"), map);
    for (const Picture& picture : draw(output, map, photo)) {
      example::write_picture(folder / (picture.name + ".png"), picture.image);
      if (picture.caption.empty()) {
        legends.push_back(picture.image);
      } else {
        panes.push_back(example::with_caption(picture.image, picture.caption));
      }
    }
  }
  panes.insert(panes.end(), legends.begin(), legends.end());
  example::write_picture(folder / "panel.jpg", panel(panes, panes.size() <= 4 ? 2 : 3));
}

void verify(const Model& model) {
  const VerifyReport report = model.verify();
  check(report.checked, model.name(), "the file has no self-test");
  if (report.first_difference)
    fail(model.name(), "the self-test differs on ", report.tier, " at ", report.first_difference->description);
  std::cout << "self-test: " << report.nodes << " nodes equal on " << report.tier << '\n';
}

void predict(Runner& runner, const fs::path& path, const Options& options) {
  const Model& model = runner.model();
  Image photo, input;
  const double read = timed([&] { photo = example::read_photo(path); });
  const double prepare = timed([&] {
    const auto [height, width] = network_size(model, photo.shape(), options.size);
    input = resize_photo(photo, height, width);
    static_cast<void>(runner.plan_for(height, width));
  });
  const Predictions* predictions = nullptr;
  double run = INFINITY;
  for (std::size_t i = 0; i < options.repeat; ++i) run = std::min(run, timed([&] { predictions = &runner.run(input); }));
  const fs::path folder = options.output / model.name() / path.stem();
  const double post = timed([&] { write_results(model, *predictions, for_display(photo), folder); });
  std::cout << path.string() << " (" << photo.shape() << ") at " << input.shape().height << "x" << input.shape().width << ": read "
            << milliseconds(read) << ", prepare " << milliseconds(prepare) << ", run " << milliseconds(run) << ", draw and write "
            << milliseconds(post) << "\n  -> " << (folder / "panel.jpg").string() << '\n';
}

/// Profiles a run on the photo: a trace file, and the nodes that took most of the time as a table.
void profile(Runner& runner, const fs::path& path, const Options& options) {
  const Image photo = example::read_photo(path);
  const auto [height, width] = network_size(runner.model(), photo.shape(), options.size);
  Profile profile = runner.profile(resize_photo(photo, height, width), std::max<std::size_t>(options.repeat, 5));
  std::ofstream file(options.profile);
  write_trace(file, profile);
  check(file.good(), options.profile.string(), "cannot be written");
  const double busy = profile.busy();
  std::cout << "profile of " << milliseconds(profile.seconds * 1e3) << ", " << std::fixed << std::setprecision(2)
            << busy / profile.bound() << " times the sum of the nodes' bounds\n    time  share  bound  node\n";
  std::ranges::stable_sort(profile.nodes, std::ranges::greater{}, &NodeProfile::seconds);
  profile.nodes.resize(std::min<std::size_t>(profile.nodes.size(), 20));
  for (const NodeProfile& node : profile.nodes)
    std::cout << std::setw(8) << milliseconds(node.seconds * 1e3) << std::setw(6) << std::setprecision(1)
              << 100.0 * node.seconds / busy << '%' << std::setw(6) << std::setprecision(0) << 100.0 * node.bound / node.seconds
              << "%  " << node.description << '\n';
  std::cout << "  -> " << options.profile.string() << " (open it in https://ui.perfetto.dev)\n";
}

int run_program(int count, char** arguments) {
  Options options;
  CLI::App app("Runs a multi-task model on photos: a picture and a raw map (.npy) per task, and a panel of all.");
  app.add_option("photos", options.photos, "JPEG or PNG photos")->required();
  app.add_option("-m,--model", options.model, "model file (.safetensors)")->required();
  app.add_option("-o,--output", options.output, "folder for the results")->capture_default_str();
  app.add_option("-t,--threads", options.threads, "threads (0: as many as this process may use)")->capture_default_str();
  app.add_option("-s,--size", options.size, "height and width for the network (default: the model's, at the photo's proportions)")
      ->expected(2)
      ->check(CLI::Range(1, 8192));
  app.add_option("--repeat", options.repeat, "run so often and report the shortest time")->check(CLI::Range(1, 10000));
  app.add_flag("--plan", options.plan, "print how the network runs at the last photo's size, one line a step");
  app.add_option("--profile", options.profile,
                 "profile the first photo: where the time goes, as a table and a Perfetto trace file");
  app.add_flag("--verify", options.verify, "replay the model's self-test first");
  try {
    app.parse(count, arguments);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 1;
  }

  std::optional<Runner> runner;
  const double load = timed([&] { runner.emplace(Model::load(options.model), RunnerOptions{.threads = options.threads}); });
  std::cout << runner->model().name() << ": loaded in " << milliseconds(load) << "; tier " << kernels::active().name << ", "
            << runner->threads() << (runner->threads() == 1 ? " thread\n" : " threads\n");
  if (options.verify) verify(runner->model());
  for (const fs::path& photo : options.photos) predict(*runner, photo, options);
  if (options.plan) std::cout << runner->describe(measure_rates(kernels::active()));
  if (!options.profile.empty()) profile(*runner, options.photos.front(), options);
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  try {
    return run_program(count, arguments);
  } catch (const std::exception& error) {
    std::cerr << "dense_prediction: " << error.what() << '\n';
    return 1;
  }
}
