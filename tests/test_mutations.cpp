// SPDX-License-Identifier: Apache-2.0
// Some thousand damaged model files: each must be refused with an Error or be a model that runs; none may crash, hang or
// take much memory.
#include <bimtdp/bimtdp.hpp>

#include <nlohmann/json.hpp>

#include "catch.hpp"
#include "model_file.hpp"

#include <sys/resource.h>

#include <cstddef>
#include <string>
#include <vector>

using namespace bimtdp;
using Json = nlohmann::json;

namespace {

/// What every mutation gets: a run may take 64 MiB and 200 million multiply-accumulates.
constexpr Limits limits{.max_bytes = std::uint64_t{64} << 20, .max_macs = 200'000'000};

struct Tally {
  std::size_t refused = 0, verified = 0, differed = 0;
  [[nodiscard]] std::size_t total() const { return refused + verified + differed; }
};

/// Loads, verifies and runs; everything that goes wrong must be an Error.
void attempt(const test::Bytes& bytes, Tally& tally) {
  try {
    const Model model = Model::load(bytes);
    const VerifyReport report = model.verify_self_test(kernels::active(), limits);
    Runner runner(model, {.threads = 1, .limits = limits});
    runner.run(Tensor<float>({model.stride() * 4, model.stride() * 4, model.graph().values()[0].channels}));
    ++(report.first_difference ? tally.differed : tally.verified);
  } catch (const Error& error) {
    CHECK(std::string(error.what()).size() > 8);
    ++tally.refused;
  }
}

/// Paths to all values of a JSON text, containers included.
void collect(const Json& json, const Json::json_pointer& at, std::vector<Json::json_pointer>& paths) {
  paths.push_back(at);
  if (json.is_object())
    for (const auto& [key, value] : json.items()) collect(value, at / key, paths);
  if (json.is_array())
    for (std::size_t i = 0; i < json.size(); ++i) collect(json[i], at / i, paths);
}

const std::vector<Json>& seeds() {
  static const std::vector<Json> values{0,
                                        1,
                                        -1,
                                        1.5,
                                        2,
                                        3,
                                        65,
                                        1 << 20,
                                        (1 << 20) + 1,
                                        std::uint64_t{1} << 31,
                                        std::uint64_t{1} << 32,
                                        std::uint64_t{1} << 63,
                                        ~std::uint64_t{0},
                                        true,
                                        nullptr,
                                        "",
                                        "a",
                                        "weight.0",
                                        std::string(200, 'x'),
                                        Json::array(),
                                        Json::object(),
                                        Json::array({1, 1}),
                                        Json::array({0, 0, 0, 0})};
  return values;
}

}  // namespace

TEST_CASE("truncations are refused") {
  const test::Bytes bytes = test::model_file(test::small_network()).bytes();
  Tally tally;
  for (std::size_t length = 0; length < bytes.size(); length += 1 + length / 40)
    attempt(test::Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length)), tally);
  attempt(test::Bytes(bytes.begin(), bytes.end() - 1), tally);
  CHECK(tally.refused == tally.total());
  CHECK(tally.total() > 200);
}

TEST_CASE("appended bytes are refused") {
  test::Bytes bytes = test::model_file(test::small_network()).bytes();
  Tally tally;
  for (int i = 0; i < 20; ++i) {
    bytes.push_back(std::byte{0});
    attempt(bytes, tally);
  }
  CHECK(tally.refused == 20);
}

TEST_CASE("flipped bits are refused or harmless") {
  const test::Bytes bytes = test::model_file(test::small_network()).bytes();
  Tally tally;
  test::Numbers random(11);
  for (std::size_t at = 0; at < bytes.size(); at += at < 64 ? 1 : 1 + static_cast<std::size_t>((random.next() + 1) * 10)) {
    test::Bytes flipped = bytes;
    flipped[at] ^= static_cast<std::byte>(1u << (at % 8));
    attempt(flipped, tally);
  }
  CHECK(tally.refused > 300);
}

TEST_CASE("edited JSON fields are refused or give a model that runs") {
  Tally tally;
  const test::ModelFile file = test::model_file(test::every_operation());
  const Json original = Json::parse(to_json(file.text));
  std::vector<Json::json_pointer> paths;
  collect(original, Json::json_pointer(), paths);
  for (std::size_t i = 0; i < paths.size(); ++i) {
    // every path with a few seeds, so that all fields of all nodes meet all kinds of seeds over the list
    for (std::size_t s = i % 5; s < seeds().size(); s += 5) {
      Json edited = original;
      edited[paths[i]] = seeds()[s];
      attempt(test::raw_file(file.header(edited.dump()), file.data()), tally);
    }
  }
  CHECK(tally.total() > 2000);
  CHECK(tally.refused > tally.verified);
}

TEST_CASE("removed and doubled JSON fields are refused") {
  Tally tally;
  const test::ModelFile file = test::model_file(test::every_operation());
  const Json original = Json::parse(to_json(file.text));
  std::vector<Json::json_pointer> paths;
  collect(original, Json::json_pointer(), paths);
  for (const Json::json_pointer& path : paths) {
    if (path.empty() || path.parent_pointer().empty()) continue;
    Json edited = original;
    Json& parent = edited[path.parent_pointer()];
    if (parent.is_object()) parent.erase(path.back());
    if (parent.is_array()) parent.push_back(parent.back());
    attempt(test::raw_file(file.header(edited.dump()), file.data()), tally);
  }
  CHECK(tally.total() > 500);
}

TEST_CASE("edited tensor descriptions are refused") {
  Tally tally;
  const test::ModelFile file = test::model_file(test::small_network());
  const Json original = Json::parse(file.header(to_json(file.text)));
  std::vector<Json::json_pointer> paths;
  collect(original, Json::json_pointer(), paths);
  for (const Json::json_pointer& path : paths) {
    for (const Json& seed : seeds()) {
      Json edited = original;
      if (edited[path] == seed) continue;
      edited[path] = seed;
      attempt(test::raw_file(edited.dump(), file.data()), tally);
    }
  }
  CHECK(tally.total() > 500);
  CHECK(tally.refused == tally.total());
}

TEST_CASE("all of that took little memory") {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
#if !defined(__SANITIZE_ADDRESS__)
  CHECK(usage.ru_maxrss < 512 * 1024);  // KiB
#endif
}
