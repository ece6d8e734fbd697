// SPDX-License-Identifier: Apache-2.0
// Fuzzes the loader and what follows it: any bytes give an Error or a model that plans, runs and verifies within its limits. Half
// of the mutations change bytes; the others change one value of the header's or the model's JSON. Lengths and hashes are set right
// afterwards, so that mutants get past them.
#include <bimtdp/bimtdp.hpp>

#include <nlohmann/json.hpp>

#include "../graphs.hpp"
#include "../model_file.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <random>
#include <span>
#include <string>
#include <vector>

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace {

using namespace bimtdp;
using Json = nlohmann::json;
using test::Bytes;

constexpr Limits limits{.max_bytes = std::uint64_t{1} << 24, .max_macs = 2'000'000};

/// A file's three parts; the model's text is taken out of the header.
struct Parts {
  Json header = Json::object();
  std::string text;
  Bytes data;
};

/// Takes a file apart as far as it is one.
Parts parts_of(std::span<const std::uint8_t> file) {
  Parts parts;
  std::uint64_t length = 0;
  if (file.size() < 8) return parts;
  std::memcpy(&length, file.data(), 8);
  length = std::min<std::uint64_t>(length, file.size() - 8);
  const char* begin = reinterpret_cast<const char*>(file.data()) + 8;
  Json header = Json::parse(begin, begin + length, nullptr, false);
  if (header.is_object()) parts.header = std::move(header);
  const Json text = parts.header.value("/__metadata__/bimtdp"_json_pointer, Json());
  if (text.is_string()) parts.text = text.get<std::string>();
  const auto* data = reinterpret_cast<const std::byte*>(file.data()) + 8 + length;
  parts.data.assign(data, data + (file.size() - 8 - length));
  return parts;
}

/// The file of the parts, hashes and length as they should be.
Bytes file_of(Parts parts) {
  Json text = Json::parse(parts.text, nullptr, false);
  if (text.is_object() && text.contains("tensors_hash")) {
    text["tensors_hash"] = digest(std::as_bytes(std::span(parts.data)));
    parts.text = text.dump(-1, ' ', true, Json::error_handler_t::replace);
  }
  parts.header["__metadata__"] = {{"bimtdp", parts.text}, {"bimtdp_hash", digest(std::as_bytes(std::span(parts.text)))}};
  return test::raw_file(parts.header.dump(-1, ' ', true, Json::error_handler_t::replace), parts.data);
}

void collect(Json& json, std::vector<Json*>& values) {
  values.push_back(&json);
  if (json.is_structured())
    for (Json& inner : json) collect(inner, values);
}

/// Changes one value, or moves, doubles or drops one.
void mutate(Json& json, std::mt19937& random) {
  std::vector<Json*> values;
  collect(json, values);
  Json& target = *values[random() % values.size()];
  const Json other = *values[random() % values.size()];
  static const std::vector<Json> seeds{0,
                                       1,
                                       2,
                                       3,
                                       63,
                                       64,
                                       65,
                                       1 << 15,
                                       1u << 31,
                                       -1,
                                       0.5,
                                       1e300,
                                       "",
                                       "a",
                                       "input",
                                       true,
                                       nullptr,
                                       Json::array(),
                                       Json::object(),
                                       Json::array({1, 1}),
                                       Json::array({0, 0, 0, 0})};
  switch (random() % 5) {
    case 0:
      target = seeds[random() % seeds.size()];
      break;
    case 1:
      target = other;
      break;
    case 2:
      if (target.is_array() && !target.empty()) target.push_back(target[random() % target.size()]);
      break;
    case 3:
      if (target.is_structured() && !target.empty())
        target.erase(std::next(target.begin(), static_cast<std::ptrdiff_t>(random() % target.size())));
      break;
    default:
      if (target.is_number_integer()) target = target.get<std::int64_t>() + static_cast<std::int64_t>(random() % 5) - 2;
  }
}

std::size_t store(const Bytes& file, std::uint8_t* data, std::size_t size, std::size_t max_size) {
  if (file.size() > max_size) return size;
  std::memcpy(data, file.data(), file.size());
  return file.size();
}

/// Files to begin with.
const std::vector<Bytes>& seeds() {
  static const std::vector<Bytes> files{test::model_file(test::small_network()).bytes(),
                                        test::model_file(test::every_operation()).bytes(),
                                        test::model_file(test::small_network(), true).bytes()};
  return files;
}

void use(const Model& model) {
  Runner runner(model, {.threads = 2, .limits = limits});
  const std::size_t stride = model.stride(), channels = model.graph().values()[0].channels;
  for (const std::size_t strides : {1u, 3u}) {
    const Shape shape{stride, strides * stride, channels};
    if (Checked(shape.height) * shape.width * shape.channels > Checked(1 << 16)) continue;
    try {
      Tensor<float> input(shape);
      for (std::size_t i = 0; i < input.span().size(); ++i) input.span()[i] = static_cast<float>(i % 7) - 3.0f;
      (void)runner.run(input);
      if (channels == 3) (void)predict_photo(runner, Image({5, 9, 3}), Size{shape.height, shape.width});
    } catch (const Error&) {
    }
  }
  (void)model.verify_self_test(kernels::active(), limits);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    use(Model::load(std::as_bytes(std::span(data, size))));
  } catch (const Error&) {
  }
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned int seed) {
  std::mt19937 random(seed);
  if (size < 16 || random() % 256 == 0) return store(seeds()[random() % seeds().size()], data, size, max_size);
  if (random() % 8 == 0) return LLVMFuzzerMutate(data, size, max_size);
  Parts parts = parts_of(std::span(data, size));
  if (random() % 8 == 0) {
    mutate(parts.header, random);
  } else if (random() % 4 == 0 && !parts.data.empty()) {
    parts.data[random() % parts.data.size()] ^= static_cast<std::byte>(1u << random() % 8);
  } else {
    Json text = Json::parse(parts.text, nullptr, false);
    if (text.is_discarded()) return LLVMFuzzerMutate(data, size, max_size);
    for (unsigned i = 0; i <= random() % 3; ++i) mutate(text, random);
    parts.text = text.dump(-1, ' ', true, Json::error_handler_t::replace);
  }
  return store(file_of(std::move(parts)), data, size, max_size);
}
