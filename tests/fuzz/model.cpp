// SPDX-License-Identifier: Apache-2.0
// Fuzzes the loader and what follows it: any bytes give an Error or a model that plans, runs and verifies within its limits. Most
// mutations change values of the header's or the model's JSON, or a bit of the tensors, and set lengths and hashes right
// afterwards, so that mutants get past them; the others change bytes.
#include <bimtdp/bimtdp.hpp>

#include <nlohmann/json.hpp>

#include "../graphs.hpp"
#include "../model_file.hpp"
#include "../random_network.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace {

using namespace bimtdp;
using Json = nlohmann::json;
using test::Bytes;

constexpr std::uint64_t max_work = std::uint64_t{1} << 14;  // of a node
constexpr std::size_t max_seed_bytes = 4096;                // a long text is slow to change and to read
constexpr Limits limits{.max_bytes = std::uint64_t{1} << 22, .max_macs = 16 * max_work};

/// A file's three parts; the model's text is taken out of the header. Without a text, discarded, bytes alone can be changed.
struct Parts {
  Json header = Json::object();
  Json text = Json(Json::value_t::discarded);
  Bytes data;
};

std::string dump(const Json& json) { return json.dump(-1, ' ', true, Json::error_handler_t::replace); }

/// The JSON of a text without what lies deeper than a model's does: nothing here is made for that. Discarded where it is none.
template <class Iterator>
Json parse(Iterator begin, Iterator end) {
  return Json::parse(
      begin, end, [](int depth, Json::parse_event_t, Json&) { return depth < 10; }, false);
}
Json parse(const std::string& text) { return parse(text.begin(), text.end()); }

/// Takes a file apart as far as it is one.
Parts parts_of(std::span<const std::uint8_t> file) {
  Parts parts;
  std::uint64_t length = 0;
  if (file.size() < 8) return parts;
  std::memcpy(&length, file.data(), 8);
  length = std::min<std::uint64_t>(length, file.size() - 8);
  const char* begin = reinterpret_cast<const char*>(file.data()) + 8;
  Json header = parse(begin, begin + length);
  if (header.is_object()) parts.header = std::move(header);
  const Json text = parts.header.value("/__metadata__/bimtdp"_json_pointer, Json());
  if (text.is_string()) parts.text = parse(text.get_ref<const std::string&>());
  const auto* data = reinterpret_cast<const std::byte*>(file.data()) + 8 + length;
  parts.data.assign(data, data + (file.size() - 8 - length));
  return parts;
}

/// The file of the parts, hashes and length as they should be.
Bytes file_of(Parts parts) {
  if (parts.text.is_object() && parts.text.contains("tensors_hash"))
    parts.text["tensors_hash"] = digest(std::as_bytes(std::span(parts.data)));
  const std::string text = dump(parts.text);
  if (parts.header.is_object())
    parts.header["__metadata__"] = {{"bimtdp", text}, {"bimtdp_hash", digest(std::as_bytes(std::span(text)))}};
  return test::raw_file(dump(parts.header), parts.data);
}

void collect(Json& json, std::vector<Json*>& values) {
  values.push_back(&json);
  if (json.is_structured())
    for (Json& inner : json) collect(inner, values);
}

/// A value to put in another's place, mostly of its type: one of the same text, of a network with all operations and options, or a
/// number at a limit.
Json replacement(const Json& target, const std::vector<Json*>& values, std::mt19937& random) {
  static Json other = Json::parse(to_json(test::model_file(test::every_operation(), true).text));
  static const std::vector<Json*> others = [] {
    std::vector<Json*> all;
    collect(other, all);
    return all;
  }();
  static const std::vector<Json> limits{0,
                                        1,
                                        2,
                                        3,
                                        4,
                                        5,
                                        63,
                                        64,
                                        65,
                                        1 << 15,
                                        1 << 20,
                                        (1 << 20) + 1,
                                        1u << 31,
                                        ~0u,
                                        ~0ull,
                                        -1,
                                        0.5,
                                        1e300,
                                        "",
                                        "a",
                                        "input",
                                        true,
                                        false,
                                        nullptr,
                                        "weight.0",
                                        Json::array(),
                                        Json::object(),
                                        Json::array({1, 1}),
                                        Json::array({0, 0, 0, 0})};
  const std::vector<Json*>& from = random() % 4 == 0 ? others : values;
  if (random() % 8 == 0) return limits[random() % limits.size()];
  for (int tries = 0; tries < 8; ++tries)
    if (const Json& value = *from[random() % from.size()]; value.type() == target.type()) return value;
  return *from[random() % from.size()];
}

/// Changes one value, or moves, doubles or drops one.
void mutate(Json& json, std::mt19937& random) {
  std::vector<Json*> values;
  collect(json, values);
  Json& target = *values[random() % values.size()];
  const auto place = [&] { return std::next(target.begin(), static_cast<std::ptrdiff_t>(random() % target.size())); };
  switch (random() % 5) {
    case 0:
    case 1:
      target = replacement(target, values, random);
      break;
    case 2:
      if (target.is_array() && !target.empty()) target.push_back(Json(*place()));
      break;
    case 3:
      if (target.is_structured() && !target.empty()) target.erase(place());
      break;
    default:
      if (target.is_number_unsigned()) target = target.get<std::uint64_t>() + random() % 5 - 2;
      if (target.is_boolean()) target = !target.get<bool>();
  }
}

/// Where a tensor of the header lies, if it says so.
std::optional<std::array<std::size_t, 2>> range_of(const Json& tensor, const Bytes& data) {
  const Json at = tensor.is_object() ? tensor.value("data_offsets", Json()) : Json();
  if (!at.is_array() || at.size() != 2 || !at[0].is_number_unsigned() || !at[1].is_number_unsigned()) return std::nullopt;
  const std::array range{at[0].get<std::size_t>(), at[1].get<std::size_t>()};
  return range[0] <= range[1] && range[1] <= data.size() ? std::optional(range) : std::nullopt;
}

/// Makes a tensor of floats one of halves, of the first half of its bytes.
void halve(Parts& parts, std::mt19937& random) {
  std::vector<Json*> floats;
  for (Json& tensor : parts.header)
    if (range_of(tensor, parts.data) && tensor.value("dtype", Json()) == "F32") floats.push_back(&tensor);
  if (floats.empty()) return;
  Json& chosen = *floats[random() % floats.size()];
  const auto [begin, end] = *range_of(chosen, parts.data);
  const std::size_t gone = (end - begin) / 2;
  for (Json& tensor : parts.header)
    if (const auto range = range_of(tensor, parts.data); range && (*range)[0] >= end)
      tensor["data_offsets"] = {(*range)[0] - gone, (*range)[1] - gone};
  chosen["dtype"] = "F16";
  chosen["data_offsets"] = {begin, end - gone};
  const auto first = parts.data.begin() + static_cast<std::ptrdiff_t>(end - gone);
  parts.data.erase(first, first + static_cast<std::ptrdiff_t>(gone));
}

std::size_t store(const Bytes& file, std::uint8_t* data, std::size_t size, std::size_t max_size) {
  if (file.size() > max_size) return size;
  std::memcpy(data, file.data(), file.size());
  return file.size();
}

/// With a self-test, where the network takes its photo.
Bytes file_of(const Graph& graph) {
  try {
    return test::model_file(graph).bytes();
  } catch (const Error&) {
    return test::model_file(graph, true).bytes();
  }
}

/// To begin with, and again and again, for most mutants are no models: networks by hand and small random ones.
const std::vector<Parts>& seeds() {
  static const std::vector<Parts> made = [] {
    std::vector<Bytes> files{file_of(test::small_network()), file_of(test::every_operation())};
    std::mt19937 random(1);
    while (files.size() < 80) {
      std::array<std::uint8_t, 64> bytes{};
      for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random());
      test::Choices choices(bytes);
      Bytes file = file_of(test::random_network(choices, max_work).graph);
      if (file.size() <= max_seed_bytes) files.push_back(std::move(file));
    }
    std::vector<Parts> parts;
    for (const Bytes& file : files) parts.push_back(parts_of({reinterpret_cast<const std::uint8_t*>(file.data()), file.size()}));
    return parts;
  }();
  return made;
}

void run(Runner& runner, const Shape& shape) {
  try {
    Tensor<float> input(shape);
    for (std::size_t i = 0; i < input.span().size(); ++i) input.data()[i] = static_cast<float>(i % 7) - 3.0f;
    (void)runner.run(input);
  } catch (const Error&) {
  }
}

void use(const Model& model, std::size_t threads) {
  Runner runner(model, {.threads = threads, .limits = limits});
  const std::size_t stride = model.stride(), channels = model.graph().values()[0].channels;
  for (const std::size_t strides : {1u, 6u})
    if (stride * channels <= 256) run(runner, {strides * stride, 4 * stride, channels});
  if (stride <= 32 && channels == 3) (void)predict_photo(runner, Image({5, 9, 3}), Size{stride, stride});
  (void)model.verify_self_test(kernels::active(), limits);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    use(Model::load(std::as_bytes(std::span(data, size))), size % 16 == 0 ? 2 : 1);
  } catch (const Error&) {
  }
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned int seed) {
  std::mt19937 random(seed);
  const bool anew = size < 16 || random() % 2 == 0;
  if (!anew && random() % 8 == 0) return LLVMFuzzerMutate(data, size, max_size);
  Parts parts = anew ? seeds()[random() % seeds().size()] : parts_of(std::span(data, size));
  if (parts.text.is_discarded()) return LLVMFuzzerMutate(data, size, max_size);
  if (random() % 16 == 0) halve(parts, random);
  if (random() % 8 == 0) {
    mutate(parts.header, random);
  } else if (random() % 4 == 0 && !parts.data.empty()) {
    parts.data[random() % parts.data.size()] ^= static_cast<std::byte>(1u << random() % 8);
  } else {
    for (unsigned i = 0; i <= random() % 3; ++i) mutate(parts.text, random);
  }
  return store(file_of(std::move(parts)), data, size, max_size);
}
