// SPDX-License-Identifier: Apache-2.0
// digests GOLDEN MODEL...: computes random networks, the models' maps and their pictures on every tier of this machine and holds
// their digests to the file GOLDEN, the same one for all machines. Exit status 1 where one differs.
// digests --write MODEL...: prints such a file, of this machine's best tier.
#include <bimtdp/bimtdp.hpp>
#include <bimtdp/io/digest.hpp>
#include <bimtdp/io/replay.hpp>
#include <bimtdp/run/kept_run.hpp>

#include "reference_run.hpp"

#include <algorithm>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace bimtdp;
using Digests = std::map<std::string, std::string>;

constexpr std::uint64_t networks = 120;

std::string digest_of_text(const std::string& text) { return digest(std::as_bytes(std::span(text.data(), text.size()))); }

/// Every value of the random networks.
std::string digest_of_networks(const kernels::KernelTable& table) {
  std::string digests;
  for (std::uint64_t seed = 0; seed < networks; ++seed) {
    const test::RandomNetwork network = test::random_network(seed);
    const Program program(network.graph, table);
    KeptRun kept(program, network.input, {}, 2);
    for (NodeId id = 0; id < kept.count(); ++id) digests += digest(kept.value(id));
  }
  return digest_of_text(digests);
}

/// Throws Error where a tier, threads, bands or fusions change a value of the random networks.
void check_networks() {
  for (std::uint64_t seed = 0; seed < networks; ++seed)
    if (const auto difference = test::first_difference(test::random_network(seed))) fail(text_of("network ", seed), *difference);
}

/// Waves of three colours under noise.
Image some_photo(std::size_t height, std::size_t width) {
  Image photo({height, width, 3});
  std::uint64_t state = 1;
  for (std::size_t i = 0; i < photo.span().size(); ++i) {
    const std::size_t wave = i / 3 % width * (i % 3 + 1) + i / 3 / width * 2;
    photo.span()[i] = static_cast<std::uint8_t>((wave & 256 ? ~wave & 255 : wave & 255) / 2 + splitmix64(state) % 100);
  }
  return photo;
}

/// A model's maps of a photo and what they look like.
void add_model(Digests& digests, const std::string& path, const kernels::KernelTable& table) {
  const Model model = Model::load(path);
  Runner runner(model, {.threads = 2, .kernels = &table});
  const Image photo = some_photo(75, 101);
  const Predictions& maps = runner.run(network_input(model, photo, size_of(photo.shape())));
  const std::string name = std::filesystem::path(path).stem().string();
  for (const Predictions::Task& task : maps) digests[name + "/" + task.name] = digest(std::as_bytes(task.map.span()));
  for (const PhotoMap& map : read_maps(model, maps, size_of(photo.shape())))
    if (const std::optional<Image> colours = colour_map(map))
      digests[name + "/" + map.task + "/picture"] = digest(std::as_bytes(colours->span()));
}

Digests digests_on(const kernels::KernelTable& table, std::span<char*> models) {
  Digests digests{{"networks", digest_of_networks(table)}};
  for (const char* path : models) add_model(digests, path, table);
  return digests;
}

Digests read(const std::string& path) {
  std::ifstream file(path);
  Digests digests;
  for (std::string name, value; file >> name >> value;) digests[name] = value;
  demand(!digests.empty(), path, "holds no digests");
  return digests;
}

/// Says what differs; how many do.
int compare(const std::string& tier, const Digests& found, const Digests& expected) {
  int different = 0;
  for (const auto& [name, value] : found) {
    const auto known = expected.find(name);
    if (known != expected.end() && known->second == value) continue;
    std::cout << tier << ": " << name << ": " << value << '\n';
    ++different;
  }
  if (different == 0) std::cout << tier << ": " << found.size() << " digests as everywhere\n";
  return different;
}

}  // namespace

int main(int count, char** arguments) try {
  const std::span<char*> models(arguments + 2, arguments + std::max(count, 2));
  if (count < 2) fail("digests", "usage: digests GOLDEN|--write MODEL...");
  check_networks();
  if (arguments[1] == std::string_view("--write")) {
    for (const auto& [name, value] : digests_on(*kernels::tables().front(), models)) std::cout << name << ' ' << value << '\n';
    return 0;
  }
  const Digests expected = read(arguments[1]);
  int different = 0;
  for (const kernels::KernelTable* table : kernels::tables())
    different += compare(table->name, digests_on(*table, models), expected);
  return different == 0 ? 0 : 1;
} catch (const std::exception& error) {
  std::cerr << "digests: " << error.what() << '\n';
  return 2;
}
