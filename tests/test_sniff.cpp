// SPDX-License-Identifier: Apache-2.0
// What a file is that should have been a safetensors file, and how much of its beginning must be there.
#include <bimtdp/io/safetensors.hpp>

#include "catch.hpp"
#include "errors.hpp"
#include "model_file.hpp"

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

using namespace bimtdp;
using test::error_of;
using test::holds;

namespace {

std::string parse_error(const test::Bytes& bytes) {
  return error_of([&] { (void)SafeTensors::parse(bytes, "model.st"); });
}
test::Bytes text_bytes(const std::string& text) {
  test::Bytes bytes;
  test::append(bytes, text.data(), text.size());
  return bytes;
}

}  // namespace

TEST_CASE("files that are something else") {
  CHECK(holds(parse_error(test::Bytes{}), {"model.st", "empty"}));
  CHECK(holds(parse_error(test::Bytes(9, std::byte{32})), {"too short", "got 9"}));
  CHECK(holds(parse_error(text_bytes("version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 1\n")),
              {"git-LFS pointer", "git lfs pull"}));
  CHECK(holds(parse_error(text_bytes("\n<!DOCTYPE html><html><head></head></html>")), {"HTML page"}));
  CHECK(holds(parse_error(text_bytes("<HTML><body>404</body></HTML>")), {"HTML page"}));
  CHECK(holds(parse_error(text_bytes("PK\x03\x04"
                                     "archive/data.pkl....")),
              {"zip archive", "scripts/convert.py"}));
  CHECK(holds(parse_error(text_bytes("\x80\x02}q\x01(X\x04 etc")), {"pickle", "scripts/convert.py"}));
  CHECK(holds(parse_error(text_bytes("just some text, no model")), {"wrong magic", "expected '{'"}));
  CHECK(holds(parse_error(text_bytes("\xff\xff\xff\xff\xff\xff\xff\xff{}")), {"implausible header length"}));
  CHECK(holds(parse_error(text_bytes(std::string("\x01\0\0\0\0\0\0\0{}", 10))), {"implausible header length", "got 1"}));
  CHECK(holds(parse_error(text_bytes(std::string("\x40\0\0\0\0\0\0\0{}", 10))),
              {"truncated", "inside the header", "got 10", "at least 72"}));
}

TEST_CASE("a pickle, and what almost is one") {
  const auto named = [](std::initializer_list<int> values, std::size_t seen) {
    test::Bytes bytes;
    for (const int value : values) bytes.push_back(static_cast<std::byte>(value));
    return holds(error_of([&] { detail::name_wrong_format(std::span(bytes).first(seen), "file"); }), {"pickle"});
  };
  for (const int protocol : {1, 2, 5}) CHECK(named({0x80, protocol}, 2));
  for (const int protocol : {0, 6}) CHECK_FALSE(named({0x80, protocol}, 2));
  CHECK_FALSE(named({0x7F, 2}, 2));
  CHECK_FALSE(named({0x80, 2}, 1));
}

TEST_CASE("the beginning of a file at its borders") {
  const auto start = [](const std::string& text, std::uint64_t total, std::size_t seen) {
    const test::Bytes bytes = text_bytes(text);
    return error_of([&] { (void)check_safetensors_start(std::span(bytes).first(seen), total, "file", 100); });
  };
  const auto header = [](char length) { return length + std::string("\0\0\0\0\0\0\0{}", 9); };
  CHECK(holds(start("PK\x03\x04....{", 8, 8), {"zip archive"}));  // the brace is not in the file
  CHECK(start(header(2), 10, 10).empty());
  CHECK(start(header(100), 108, 10).empty());
  CHECK(holds(start(header(101), 109, 10), {"implausible header length (got 101"}));
  CHECK(holds(start(header(100), 107, 10), {"ends inside the header"}));
}
