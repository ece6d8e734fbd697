// SPDX-License-Identifier: Apache-2.0
// dense_prediction PHOTO... --model FILE: photos in, a picture and a raw map per task out, and one panel of all.
#include <bimtdp/bimtdp.hpp>

#include "drawing.hpp"
#include "photo_io.hpp"
#include "program.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <functional>
#include <iomanip>
#include <iostream>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

namespace {

using namespace bimtdp;
namespace fs = std::filesystem;

struct Options {
  std::vector<fs::path> photos;
  fs::path model, output = "output";
  std::size_t threads = 0, repeat = 1;
  std::optional<Size> size;  ///< that the network runs at
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

/// The photo at the size of the pictures.
Image for_display(const Image& photo) {
  const Size size = size_within(size_of(photo.shape()), 640);
  return resize_photo(photo, size.height, size.width);
}

/// The folder of a photo's results. Throws Error for a photo whose name names none.
fs::path folder_of(const fs::path& photo, const fs::path& results) {
  const fs::path stem = photo.stem();
  demand(!stem.empty() && stem != "." && stem != "..", photo.string(), "its name cannot name the folder of its results (got '",
         stem.string(), "'); rename it");
  return results / stem;
}

/// Throws Error where the results of two photos would have one folder, also on a disk that tells no a from A.
void check_folders(const std::vector<fs::path>& photos, const fs::path& results) {
  std::map<std::string, fs::path> taken;
  for (const fs::path& photo : photos) {
    const fs::path folder = folder_of(photo, results);
    const auto [other, free] = taken.emplace(lower_case(folder.string()), photo);
    demand(free, photo.string(), "its results would overwrite those of ", other->second.string(), " in ", folder.string(),
           "; rename one, or run twice with another --output");
  }
}

/// Writes everything of one photo to `folder`. No task's name has the '-' of a legend's file.
void write_results(const Model& model, const Predictions& predictions, const Image& photo, const fs::path& folder) {
  fs::create_directories(folder);
  write_maps(folder / "", predictions);
  std::vector<Image> panes{example::with_caption(photo, "photo")}, legends;
  for (const PhotoMap& map : read_maps(model, predictions, size_of(photo.shape()))) {
    const std::optional<Picture> picture = bimtdp::picture(map, photo);
    if (!picture) continue;
    example::write_picture(folder / (map.task + ".png"), picture->image);
    panes.push_back(example::with_caption(picture->image, picture->caption));
    if (map.kind != OutputKind::classes) continue;
    legends.push_back(example::draw_legend(picture->legend, photo.shape()));
    example::write_picture(folder / (map.task + "-legend.png"), legends.back());
  }
  panes.insert(panes.end(), legends.begin(), legends.end());
  example::write_picture(folder / "panel.jpg", panel(panes, panes.size() <= 4 ? 2 : 3));
}

void verify(const Model& model) {
  const VerifyReport report = model.verify_self_test();
  demand(report.checked, model.name(), "the file has no self-test");
  if (report.first_difference)
    fail(model.name(), "the self-test differs on ", report.tier, " at ", report.first_difference->description);
  std::cout << "self-test: " << report.nodes << " nodes equal on " << report.tier << '\n';
}

void predict(Runner& runner, const fs::path& path, const Options& options) {
  const Model& model = runner.model();
  Image photo, input;
  const double read = timed([&] { photo = example::read_photo(path); });
  const double prepare = timed([&] {
    input = network_input(model, photo, options.size);
    static_cast<void>(runner.plan_for(input.shape().height, input.shape().width));
  });
  const Predictions* predictions = nullptr;
  double run = INFINITY;
  for (std::size_t i = 0; i < options.repeat; ++i) run = std::min(run, timed([&] { predictions = &runner.run(input); }));
  const fs::path folder = folder_of(path, options.output / model.name());
  const double post = timed([&] { write_results(model, *predictions, for_display(photo), folder); });
  std::cout << printable(path.string()) << " (" << photo.shape() << ") at " << size_of(input.shape()) << ": read "
            << milliseconds(read) << ", prepare " << milliseconds(prepare) << ", run " << milliseconds(run) << ", draw and write "
            << milliseconds(post) << "\n  -> " << printable((folder / "panel.jpg").string()) << '\n';
}

/// Profiles a run on the photo: a trace file, and the nodes that took most of the time as a table.
void profile(Runner& runner, const fs::path& path, const Options& options) {
  const Image photo = example::read_photo(path);
  const Image input = network_input(runner.model(), photo, options.size);
  Profile profile = runner.profile(input, std::max<std::size_t>(options.repeat, 5));
  write_file(options.profile, [&](std::ostream& out) { write_trace(out, profile); });
  const double busy = profile.busy();
  std::cout << "profile of " << milliseconds(profile.seconds * 1e3) << ", " << std::fixed << std::setprecision(2)
            << busy / profile.bound() << " times the sum of the nodes' bounds\n    time  share  bound  node\n";
  std::ranges::stable_sort(profile.nodes, std::ranges::greater{}, &NodeProfile::seconds);
  profile.nodes.resize(std::min<std::size_t>(profile.nodes.size(), 20));
  for (const NodeProfile& node : profile.nodes)
    std::cout << std::setw(8) << milliseconds(node.seconds * 1e3) << std::setw(6) << std::setprecision(1)
              << 100.0 * node.seconds / busy << '%' << std::setw(6) << std::setprecision(0) << 100.0 * node.bound / node.seconds
              << "%  " << node.description << '\n';
  std::cout << "  -> " << printable(options.profile.string()) << " (open it in https://ui.perfetto.dev)\n";
}

int run(int count, char** arguments) {
  Options options;
  CLI::App app("Runs a multi-task model on photos: a picture and a raw map (.npy) per task, and a panel of all.");
  app.add_option("photos", options.photos, "JPEG or PNG photos")->required();
  app.add_option("-m,--model", options.model, "model file (.safetensors)")->required();
  app.add_option("-o,--output", options.output, "folder for the results")->capture_default_str();
  app.add_option("-t,--threads", options.threads, "threads (0: as many as this process may use)")->capture_default_str();
  std::vector<std::size_t> size;
  app.add_option("-s,--size", size, "height and width for the network (default: the model's, at the photo's proportions)")
      ->expected(2)
      ->allow_extra_args(false)  // photos may follow
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
  if (!size.empty()) options.size = Size{size[0], size[1]};

  std::optional<Runner> runner;
  const double load = timed([&] { runner.emplace(Model::load(options.model), RunnerOptions{.threads = options.threads}); });
  std::cout << runner->model().name() << ": loaded in " << milliseconds(load) << "; tier " << kernels::active().name << ", "
            << runner->threads() << (runner->threads() == 1 ? " thread\n" : " threads\n");
  check_folders(options.photos, options.output / runner->model().name());
  if (options.verify) verify(runner->model());
  for (const fs::path& photo : options.photos) predict(*runner, photo, options);
  if (options.plan) std::cout << runner->describe(measure_rates(kernels::active()));
  if (!options.profile.empty()) profile(*runner, options.photos.front(), options);
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  return example::run_program("dense_prediction", 1, [&] { return run(count, arguments); });
}
