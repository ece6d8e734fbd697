// SPDX-License-Identifier: Apache-2.0
// From a photo of any size to maps of the photo's size, and maps into files: what every front end does between its decoder
// and its encoder.
//
//   bimtdp::Runner runner(bimtdp::Model::load("model.safetensors"));
//   for (const bimtdp::PhotoMap& map : bimtdp::predict_photo(runner, photo))
//     if (const auto picture = bimtdp::picture(map, photo)) show(picture->image, picture->caption);
#pragma once

#include <bimtdp/image/photo_map.hpp>
#include <bimtdp/image/resize.hpp>
#include <bimtdp/image/size.hpp>
#include <bimtdp/io/npy.hpp>
#include <bimtdp/io/runner.hpp>

#include <filesystem>
#include <optional>
#include <vector>

namespace bimtdp {

/// The size that the model runs a photo at: `wanted`, or else the area that the model prefers at the photo's proportions,
/// rounded to multiples of the model's stride. Throws Error for a side of 0 or above max_extent.
[[nodiscard]] inline Size network_size(const Model& model, const Size& photo, const std::optional<Size>& wanted = {}) {
  if (wanted) return nearest_multiple(*wanted, model.stride());
  return network_size(photo, {model.preprocessing().height, model.preprocessing().width}, model.stride());
}

/// The photo (8-bit RGB) at that size: what Runner::run takes. Throws Error as network_size does.
[[nodiscard]] inline Image network_input(const Model& model, const ImageView& photo, const std::optional<Size>& wanted = {}) {
  const Size size = network_size(model, size_of(photo.shape), wanted);
  return resize_photo(photo, size.height, size.width);
}

/// The model's predictions, every task's map read at `size`; see read_map.
[[nodiscard]] inline std::vector<PhotoMap> read_maps(const Model& model, const Predictions& predictions, const Size& size) {
  std::vector<PhotoMap> maps;
  for (const Output& output : model.outputs())
    maps.push_back({output.task, output.kind, output.class_names, read_map(output.kind, predictions[output.task], size)});
  return maps;
}

/// Runs the model on a photo (8-bit RGB) of any size and gives every task's map at the photo's own size. `wanted`: the size
/// that the network runs at, see network_size. Throws Error for a photo that is empty or has not 3 channels.
[[nodiscard]] inline std::vector<PhotoMap> predict_photo(Runner& runner, const ImageView& photo,
                                                         const std::optional<Size>& wanted = {}) {
  const Predictions& predictions = runner.run(network_input(runner.model(), photo, wanted));
  return read_maps(runner.model(), predictions, size_of(photo.shape));
}

/// Writes every task's map, as the network gives it, to the file `prefix` + task + ".npy". Throws Error when one cannot be
/// written.
inline void write_maps(const std::filesystem::path& prefix, const Predictions& predictions) {
  for (const Predictions::Task& task : predictions) {
    std::filesystem::path file = prefix;
    file += task.name + ".npy";
    write_npy(file, task.map);
  }
}

}  // namespace bimtdp
