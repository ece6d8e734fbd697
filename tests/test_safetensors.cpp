// SPDX-License-Identifier: Apache-2.0
// The safetensors reader: legal files of every kind are read, and each way to be wrong has its own message.
#include <bimtdp/io/safetensors.hpp>

#include "catch.hpp"
#include "errors.hpp"
#include "model_file.hpp"

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

using namespace bimtdp;
using test::error_of;
using test::holds;
using test::raw_file;

namespace {

std::string parse_error(const test::Bytes& bytes) {
  return error_of([&] { (void)SafeTensors::parse(bytes, "model.st"); });
}
std::string parse_error(const std::string& header, std::size_t data_bytes = 0) {
  return parse_error(raw_file(header, test::Bytes(data_bytes)));
}

/// A file that is removed at the end of the test.
struct TemporaryFile {
  std::filesystem::path path = std::filesystem::temp_directory_path() / ("bimtdp_test_" + std::to_string(std::rand()) + ".st");
  explicit TemporaryFile(const test::Bytes& bytes) {
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }
  ~TemporaryFile() { std::filesystem::remove(path); }
};

}  // namespace

TEST_CASE("rows of packed bytes are filled up to words") {
  test::Bytes data(20);
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::byte>(i + 1);
  const SafeTensors file = SafeTensors::parse(raw_file(R"({"w":{"dtype":"U8","shape":[2,10],"data_offsets":[0,20]}}   )", data));
  CHECK(shape_in_words(file.at("w")) == std::vector<std::size_t>{2, 2});
  const auto words = to_words(file.at("w"), "t");
  CHECK(std::vector<std::uint64_t>(words.begin(), words.end()) ==
        std::vector<std::uint64_t>{0x0807060504030201, 0x0A09, 0x1211100F0E0D0C0B, 0x1413});
}

TEST_CASE("signs of a single number and of none are words") {
  const SafeTensors file = SafeTensors::parse(
      raw_file(R"({"s":{"dtype":"U64","shape":[],"data_offsets":[0,8]},"z":{"dtype":"U8","shape":[2,0],"data_offsets":[8,8]}})",
               test::Bytes(8)));
  CHECK(shape_in_words(file.at("s")).empty());
  CHECK(to_words(file.at("s"), "t").size() == 1);
  CHECK(shape_in_words(file.at("z")) == std::vector<std::size_t>{2, 0});
  CHECK(to_words(file.at("z"), "t").empty());
}

TEST_CASE("legal files are read") {
  test::Bytes data(26);
  const float values[2] = {1.5f, -2.0f};
  std::memcpy(data.data(), values, 8);
  const std::uint16_t halves[1] = {0x3555};
  std::memcpy(data.data() + 24, halves, 2);
  const std::string header =
      R"({"__metadata__":{"a":"b"},"x":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},)"
      R"("w":{"dtype":"U64","shape":[2],"data_offsets":[8,24]},"h":{"dtype":"F16","shape":[],"data_offsets":[24,26]},)"
      R"("e":{"dtype":"F32","shape":[3,0],"data_offsets":[8,8]}}  )";
  const SafeTensors file = SafeTensors::parse(raw_file(header, data));
  CHECK(file.metadata().at("a") == "b");
  CHECK(file.tensors().size() == 4);
  CHECK(file.at("x").shape == std::vector<std::size_t>{2, 1});
  CHECK(to_floats(file.at("x"), "t")[1] == -2.0f);
  CHECK(to_floats(file.at("h"), "t").size() == 1);
  CHECK(to_floats(file.at("h"), "t")[0] == 0.333251953125f);
  CHECK(to_floats(file.at("e"), "t").empty());
  CHECK(to_words(file.at("w"), "t").size() == 2);
  CHECK(file.find("none") == nullptr);
  CHECK(file.data().size() == 26);
  CHECK(holds(error_of([&] { (void)file.at("none"); }), {"no tensor 'none'"}));
  CHECK(holds(error_of([&] { (void)to_words(file.at("x"), "t"); }), {"dtype", "got F32", "expected U64 or U8"}));
  CHECK(holds(error_of([&] { (void)to_floats(file.at("w"), "t"); }), {"dtype", "got U64"}));
  CHECK(SafeTensors::parse(raw_file("{}")).tensors().empty());
}

TEST_CASE("every dtype of the format is known") {
  for (const Dtype& dtype : all_dtypes) {
    const std::string bytes = std::to_string(dtype.bits);  // 8 elements
    const std::string header =
        R"({"t":{"dtype":")" + std::string(dtype.name) + R"(","shape":[8],"data_offsets":[0,)" + bytes + "]}}";
    CHECK(parse_error(header, dtype.bits).empty());
  }
}

TEST_CASE("half floats widen exactly") {
  CHECK(widen_half(0x0000) == 0.0f);
  CHECK(std::signbit(widen_half(0x8000)));
  CHECK(widen_half(0x3C00) == 1.0f);
  CHECK(widen_half(0xC000) == -2.0f);
  CHECK(widen_half(0x7BFF) == 65504.0f);
  CHECK(widen_half(0x0001) == std::ldexp(1.0f, -24));
  CHECK(widen_half(0x83FF) == -1023.0f * std::ldexp(1.0f, -24));
  CHECK(widen_half(0x0400) == std::ldexp(1.0f, -14));
  CHECK(std::isinf(widen_half(0x7C00)));
  CHECK(std::isnan(widen_half(0x7E00)));
  for (std::uint32_t h = 0; h < 0x7C00; ++h) {  // all finite values, against the definition
    const double mantissa = static_cast<double>(h & 0x3FFu), exponent = static_cast<double>(h >> 10);
    const double expected = h < 0x400 ? std::ldexp(mantissa, -24) : std::ldexp(1024.0 + mantissa, static_cast<int>(exponent) - 25);
    if (static_cast<double>(widen_half(static_cast<std::uint16_t>(h))) != expected) FAIL("half " << h);
  }
}

namespace {

/// Memory that is found changed when all was read.
class Changing : public MemoryReader {
 public:
  using MemoryReader::MemoryReader;
  void finish() const { fail(name(), "changed"); }
};

}  // namespace

TEST_CASE("a file that changes while it is read is refused") {
  const test::Bytes bytes = raw_file("{}");
  Changing reader(bytes, "file");
  CHECK(error_of([&] { (void)SafeTensors::read_from(reader, [](const Metadata&) {}); }) == "file: changed");
}

TEST_CASE("files that cannot be read") {
  const auto read_error = [](const std::filesystem::path& path) { return error_of([&] { (void)SafeTensors::read(path); }); };
  CHECK(holds(read_error("/no/such/file.safetensors"), {"/no/such/file.safetensors", "cannot open"}));
  CHECK(holds(read_error(std::filesystem::temp_directory_path()), {"is a directory"}));
  if (std::filesystem::exists("/dev/null")) CHECK(holds(read_error("/dev/null"), {"not a regular file"}));
  const TemporaryFile file(raw_file("{}"));
  CHECK(read_error(file.path).empty());
  CHECK(holds(error_of([&] { (void)read_file(file.path, 3); }), {"too large", "got 10", "at most 3"}));
}

TEST_CASE("data sections that do not fit") {
  const auto tensor = [](const std::string& name, const std::string& offsets, const std::string& shape = "[2]") {
    return "\"" + name + R"(":{"dtype":"F32","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
  };
  CHECK(parse_error("{" + tensor("a", "[0,8]") + "," + tensor("b", "[8,16]") + "}", 16).empty());
  CHECK(parse_error("{" + tensor("a", "[8,16]") + "," + tensor("b", "[0,8]") + "}", 16).empty());
  for (const std::size_t bytes : {4u, 7u})
    CHECK(holds(parse_error("{" + tensor("a", "[0,8]") + "}", bytes), {"'a'", "truncated", "at least 8"}));
  CHECK(holds(parse_error("{" + tensor("a", "[0,8]") + "}", 9), {"trailing bytes", "got 9", "expected 8"}));
  CHECK(holds(parse_error("{}", 1), {"trailing bytes"}));
  CHECK(holds(parse_error("{" + tensor("a", "[0,8]") + "," + tensor("b", "[4,12]") + "}", 12), {"'b'", "overlaps", "got begin 4"}));
  CHECK(holds(parse_error("{" + tensor("a", "[0,8]") + "," + tensor("b", "[0,8]") + "}", 8), {"overlaps"}));
  CHECK(holds(parse_error("{" + tensor("a", "[0,8]") + "," + tensor("b", "[7,15]") + "}", 15), {"'b'", "overlaps", "got begin 7"}));
  CHECK(holds(parse_error("{" + tensor("a", "[0,8]") + "," + tensor("b", "[9,17]") + "}", 17), {"'b'", "hole", "got begin 9"}));
  CHECK(holds(parse_error("{" + tensor("a", "[0,8]") + "," + tensor("b", "[12,20]") + "}", 20), {"'b'", "hole", "expected 8"}));
  CHECK(holds(parse_error("{" + tensor("a", "[8,0]") + "}", 8), {"reversed"}));
  CHECK(holds(parse_error("{" + tensor("a", "[9,8]") + "}", 9), {"reversed"}));
  CHECK(holds(parse_error("{" + tensor("a", "[0,12]") + "}", 12), {"disagree", "got 12", "expected 8"}));
  CHECK(holds(parse_error("{" + tensor("a", "[18446744073709551608,0]") + "}", 8), {"reversed"}));
  CHECK(holds(parse_error("{" + tensor("a", "[18446744073709551600,18446744073709551608]") + "}", 8), {"truncated"}));
  CHECK(holds(parse_error("{" + tensor("a", "[18446744073709551616,8]") + "}", 8), {"data_offsets", "expected an integer"}));
  for (const char* offset : {"-1", "0.0", "1e0", "null", "\"0\"", "[0]", "true", "-0"})
    CHECK(holds(parse_error("{" + tensor("a", "[" + std::string(offset) + ",8]") + "}", 8), {"'a'", "data_offsets"}));
  for (const char* offsets : {"[]", "[0]", "[0,8,8]", "8", "{}"})
    CHECK(holds(parse_error("{" + tensor("a", offsets) + "}", 8), {"data_offsets"}));
}

TEST_CASE("shapes and sizes that overflow") {
  const auto shaped = [](const std::string& shape) {
    return parse_error(R"({"a":{"dtype":"F32","shape":)" + shape + R"(,"data_offsets":[0,0]}})");
  };
  CHECK(shaped("[0]").empty());
  CHECK(shaped("[16777216,0]").empty());
  CHECK(shaped("[1,1,1,1,1,1,1,0]").empty());
  CHECK(holds(shaped("[65536,32768]"), {"disagree"}));  // 2^31 elements are allowed
  const auto few = [](const std::string& shape) {
    const std::string header = R"({"a":{"dtype":"U8","shape":)" + shape + R"(,"data_offsets":[0,3]}})";
    return error_of([&] { (void)SafeTensors::parse(raw_file(header, test::Bytes(3)), "few", {.elements = 3}); });
  };
  CHECK(few("[3]").empty());
  CHECK(holds(few("[4]"), {"too many elements (got 4"}));
  for (const char* huge : {"2147483648", "4294967296", "9223372036854775808", "18446744073709551615", "16777217"})
    for (const char* pattern : {"[%]", "[%,0]", "[0,%]", "[1,%,1]", "[%,%]"}) {
      std::string shape = pattern;
      for (std::size_t at; (at = shape.find('%')) != std::string::npos;) shape.replace(at, 1, huge);
      CHECK(holds(shaped(shape), {"'a'", "bad shape", "too large"}));
    }
  CHECK(holds(shaped("[16777216,16777216]"), {"too many elements"}));
  CHECK(holds(shaped("[16777216,16777216,0]"), {"too many elements"}));
  CHECK(holds(shaped("[65536,65536]"), {"too many elements"}));
  CHECK(holds(shaped("[1,1,1,1,1,1,1,1,1]"), {"too many dimensions", "got 9", "at most 8"}));
  CHECK(holds(shaped("[18446744073709551616]"), {"bad shape", "expected an integer"}));
  for (const char* dimension : {"-1", "2.0", "1e2", "null", "\"2\"", "[2]", "false"})
    CHECK(holds(shaped("[" + std::string(dimension) + "]"), {"bad shape", "expected an integer"}));
  CHECK(holds(shaped("2"), {"shape", "expected an array"}));
}

TEST_CASE("headers that are no tensor list") {
  CHECK(holds(parse_error(R"({"a":{"dtype":"F33","shape":[],"data_offsets":[0,4]}})", 4), {"'a'", "unknown dtype 'F33'"}));
  CHECK(holds(parse_error(R"({"a":{"dtype":4,"shape":[],"data_offsets":[0,4]}})", 4), {"dtype", "expected a string"}));
  CHECK(holds(parse_error(R"({"a":{"dtype":"F32","data_offsets":[0,4]}})", 4), {"missing key 'shape'"}));
  CHECK(holds(parse_error(R"({"a":{"dtype":"F32","shape":[],"data_offsets":[0,4],"x":1}})", 4), {"unknown key 'x'"}));
  CHECK(holds(parse_error(R"({"a":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}})", 1), {"whole number of bytes", "12 bits"}));
  CHECK(holds(parse_error(R"({"a":5})"), {"'a'", "expected an object"}));
  CHECK(holds(parse_error(R"({"__metadata__":5})"), {"__metadata__"}));
  CHECK(holds(parse_error(R"({"__metadata__":{"a":5}})"), {"__metadata__", "'a'", "expected a string"}));
  const std::string one = R"("a":{"dtype":"F32","shape":[],"data_offsets":[0,4]})";
  CHECK(holds(parse_error("{" + one + "," + one + "}", 4), {"duplicate key 'a'"}));
  CHECK(holds(parse_error(R"({"a":{"dtype":"F32","dtype":"F32","shape":[],"data_offsets":[0,4]}})", 4), {"duplicate key 'dtype'"}));
  CHECK(holds(parse_error("{" + one + "} {}", 4), {"malformed JSON"}));
  CHECK(holds(parse_error("{" + one, 4), {"malformed JSON"}));
  CHECK(holds(parse_error(std::string("{}\0{}", 5)), {"NUL"}));
  CHECK(holds(parse_error("{\"\xff\":1}"), {"malformed JSON"}));
  CHECK(holds(parse_error("{/**/}"), {"malformed JSON"}));
  CHECK(holds(parse_error("{\"a\":NaN}"), {"malformed JSON"}));
}

TEST_CASE("JSON that is deep or large") {
  CHECK(holds(parse_error("{\"a\":" + std::string(10'000'000, '[')), {"nested too deep", "got 9", "at most 8"}));
  std::string nested = "1";
  for (int i = 0; i < 9; ++i) nested = R"({"a":)" + nested + "}";
  CHECK(holds(parse_error(nested), {"nested too deep", "got 9", "at most 8"}));
  std::string many = "{\"a\":[0";
  for (int i = 0; i < 2'000'000; ++i) many += ",0";
  CHECK(holds(parse_error(many + "]}"), {"too many JSON values", "expected at most"}));
}
