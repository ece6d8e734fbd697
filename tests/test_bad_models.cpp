// SPDX-License-Identifier: Apache-2.0
// Malformed model files, made by tests/python/make_bad_models.py, and the error of each in tests/data/bad_models.txt; the same
// file cut at every byte and with every bit of its header flipped; 1,000 bits flipped in a trained model.
#include <bimtdp/io/model.hpp>  // loading, which is the same on every tier
#include <bimtdp/io/replay.hpp>
#include <bimtdp/io/safetensors.hpp>

#include <nlohmann/json.hpp>

#include "catch.hpp"
#include "errors.hpp"
#include "model_file.hpp"

#include <cstddef>
#include <fstream>
#include <iostream>
#include <span>
#include <string>
#include <vector>

using namespace bimtdp;
using Json = nlohmann::json;
using test::error_of;
using test::holds;

namespace {

const SafeTensors& corpus() {
  static const SafeTensors file = SafeTensors::read(BIMTDP_TEST_DATA "/bad_models.safetensors");
  return file;
}

test::Bytes bytes_of(const std::string& name) {
  const std::span<const std::byte> bytes = corpus().at(name).bytes;
  return {bytes.begin(), bytes.end()};
}

/// What loading says of the bytes; "" for a model.
std::string verdict(std::span<const std::byte> bytes, const std::string& name) {
  return error_of([&] { (void)Model::load(bytes, name); });
}

/// A container like another one around another model text, with the right hash.
test::Bytes with_text(const test::Bytes& original, const Json& header, const std::string& text) {
  const std::size_t data = 8 + static_cast<std::size_t>(original[0]) + 256 * static_cast<std::size_t>(original[1]);
  Json changed = header;
  changed["__metadata__"] = {{"bimtdp", text}, {"bimtdp_hash", digest(std::as_bytes(std::span(text)))}};
  return test::raw_file(changed.dump(), test::Bytes(original.begin() + static_cast<std::ptrdiff_t>(data), original.end()));
}

Json header_of(const test::Bytes& bytes) {
  const std::size_t length = static_cast<std::size_t>(bytes[0]) + 256 * static_cast<std::size_t>(bytes[1]);
  return Json::parse(std::string(reinterpret_cast<const char*>(bytes.data()) + 8, length));
}

/// Pointers to all values of a JSON text, in the order of its sorted keys.
void collect(const Json& json, const Json::json_pointer& at, std::vector<Json::json_pointer>& paths) {
  paths.push_back(at);
  if (json.is_object())
    for (const auto& [key, value] : json.items()) collect(value, at / key, paths);
  if (json.is_array())
    for (std::size_t i = 0; i < json.size(); ++i) collect(json[i], at / i, paths);
}

/// The lines of the golden file: "case<TAB>message", then "edit<TAB>pointer<TAB>one letter a seed, a: accepted, r: refused".
std::vector<std::string> found_lines() {
  std::vector<std::string> lines;
  for (const StoredTensor& stored : corpus().tensors()) {
    const std::string message = verdict(stored.bytes, stored.name);
    lines.push_back(stored.name + '\t' + (message.empty() ? "accepted" : message));
  }
  const test::Bytes base = bytes_of("accepted.base");
  const Json header = header_of(base), seeds = Json::parse(corpus().metadata().at("seeds"));
  const Json original = Json::parse(header["__metadata__"]["bimtdp"].get<std::string>());
  std::vector<Json::json_pointer> paths;
  collect(original, Json::json_pointer(), paths);
  for (const Json::json_pointer& path : paths) {
    std::string letters;
    for (const Json& seed : seeds) {
      Json edited = original;
      edited[path] = seed;
      letters += verdict(with_text(base, header, edited.dump()), "edited").empty() ? 'a' : 'r';
    }
    lines.push_back("edit\t" + path.to_string() + '\t' + letters);
  }
  return lines;
}

}  // namespace

TEST_CASE("every malformed model gives the error that stands in the golden file") {
  std::ifstream golden(BIMTDP_TEST_DATA "/bad_models.txt");
  REQUIRE(golden.is_open());
  std::size_t cases = 0;
  for (const std::string& line : found_lines()) {
    std::string expected;
    std::getline(golden, expected);
    CHECK(line == expected);
    cases += !line.starts_with("edit\t") && !line.starts_with("accepted.");
  }
  std::string rest;
  CHECK_FALSE(std::getline(golden, rest));
  CHECK(cases >= 120);
}

TEST_CASE("an error says the file, what was there, what was expected and what to do") {
  for (const StoredTensor& stored : corpus().tensors()) {
    const std::string message = verdict(stored.bytes, stored.name);
    INFO(stored.name << ": " << message);
    CHECK(message.empty() == stored.name.starts_with("accepted."));
    if (message.empty()) continue;
    CHECK(message.starts_with(stored.name + ": "));
    CHECK(holds(message, {"(got ", "expected ", "); "}));
    CHECK(is_printable(message));
    CHECK(message.size() < 600);
  }
}

TEST_CASE("the small model is a model that keeps its self-test") {
  const VerifyReport report = Model::load(bytes_of("accepted.base")).verify_self_test();
  INFO((report.first_difference ? report.first_difference->description + ": " + report.first_difference->got : ""));
  CHECK(report.ok());
}

TEST_CASE("a file that is cut at any byte is refused") {
  const test::Bytes base = bytes_of("accepted.base");
  for (std::size_t length = 0; length < base.size(); ++length)
    if (verdict(std::span(base).first(length), "cut").empty()) FAIL("accepted, cut to " << length << " bytes");
}

TEST_CASE("a file with any bit flipped is refused") {
  test::Bytes bytes = bytes_of("accepted.base");
  for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    const auto mask = static_cast<std::byte>(1U << (bit % 8));
    bytes[bit / 8] ^= mask;
    if (verdict(bytes, "flipped").empty()) FAIL("accepted with bit " << bit % 8 << " of byte " << bit / 8 << " flipped");
    bytes[bit / 8] ^= mask;
  }
}

TEST_CASE("a thousand flipped bits in a trained model are refused each") {
  const AlignedVector<std::byte> file = read_file(BIMTDP_SOURCE_DIR "/examples/models/bi_mtdp_w18_nyud4.safetensors");
  test::Bytes bytes(file.begin(), file.end());
  std::uint64_t state = 1;
#ifdef BIMTDP_SANITIZED
  constexpr int flips = 30;  // each reads and hashes the file, which takes long there
#else
  constexpr int flips = 1000;
#endif
  for (int i = 0; i < flips; ++i) {
    const std::uint64_t bit = splitmix64(state) % (8 * bytes.size());
    const auto mask = static_cast<std::byte>(1U << (bit % 8));
    bytes[bit / 8] ^= mask;
    if (verdict(bytes, "flipped").empty()) FAIL("accepted with bit " << bit % 8 << " of byte " << bit / 8 << " flipped");
    bytes[bit / 8] ^= mask;
  }
}

TEST_CASE("the golden file, for who has changed the format", "[.golden]") {
  for (const std::string& line : found_lines()) std::cout << line << '\n';
}
