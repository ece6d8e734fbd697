// SPDX-License-Identifier: Apache-2.0
// Photos of every kind (tests/python/photo_cases.py): the pixels that Pillow reads, or one error; cut off anywhere, an error;
// damaged anywhere, an error or a picture.
#include "../examples/photo/read_photo.hpp"

#include "catch.hpp"
#include "errors.hpp"

#include <bimtdp/io/safetensors.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <initializer_list>
#include <string>
#include <vector>

namespace {

using example::photo::ByteList;
using example::photo::Bytes;

struct PhotoCase {
  std::string name;
  ByteList file;
  std::string error;     ///< that it must give; empty for a good photo
  bimtdp::Image pixels;  ///< of a good one
};

ByteList bytes_of(const bimtdp::StoredTensor& tensor) {
  const auto* begin = reinterpret_cast<const std::uint8_t*>(tensor.bytes.data());
  return {begin, begin + tensor.bytes.size()};
}

const std::vector<PhotoCase>& photo_cases() {
  static const std::vector<PhotoCase> all = [] {
    std::vector<PhotoCase> cases;
    const auto fixture = bimtdp::SafeTensors::read(std::string(BIMTDP_TEST_DATA) + "/photos.safetensors");
    for (const bimtdp::StoredTensor& tensor : fixture.tensors()) {
      if (!tensor.name.ends_with(".file")) continue;
      PhotoCase& made = cases.emplace_back();
      made.name = tensor.name.substr(0, tensor.name.size() - 5);
      made.file = bytes_of(tensor);
      if (const auto* error = fixture.find(made.name + ".error")) {
        const ByteList text = bytes_of(*error);
        made.error.assign(text.begin(), text.end());
      } else {
        const bimtdp::StoredTensor& pixels = fixture.at(made.name + ".pixels");
        made.pixels = bimtdp::Image({pixels.shape.at(0), pixels.shape.at(1), 3});
        std::ranges::copy(bytes_of(pixels), made.pixels.data());
      }
    }
    return cases;
  }();
  return all;
}

/// How far decoders of JPEG may lie apart: they round chroma to one unit, twice, and blue is 1.772 of it; luma to one. Chroma
/// of photos at most 4 pixels wide is smoothed by stb_image, not by libjpeg.
int rounding(const std::string& name, const bimtdp::Image& photo) {
  if (name.ends_with(".png")) return 0;
  return photo.shape().width <= 4 ? 32 : 5;
}

int largest_difference(const bimtdp::Image& a, const bimtdp::Image& b) {
  int largest = 0;
  for (std::size_t i = 0; i < a.span().size(); ++i) largest = std::max(largest, std::abs(a.data()[i] - b.data()[i]));
  return largest;
}

/// A file's message, or "" where it is read.
std::string message_of(const std::string& name, Bytes file) {
  return test::error_of([&] { static_cast<void>(example::decode_photo(name, file)); });
}

/// A JPEG file whose `segments` stand in front of those of a small one.
ByteList with_segments(const ByteList& segments) {
  const auto small = std::ranges::find(photo_cases(), "size_1x1.jpg", &PhotoCase::name);
  ByteList file(small->file.begin(), small->file.begin() + 2);
  example::photo::append(file, segments);
  file.insert(file.end(), small->file.begin() + 2, small->file.end());
  return file;
}

}  // namespace

TEST_CASE("good photos have the pixels that Pillow reads") {
  std::size_t good = 0;
  for (const PhotoCase& photo : photo_cases()) {
    if (!photo.error.empty()) continue;
    INFO(photo.name);
    REQUIRE(message_of(photo.name, photo.file) == "");
    const bimtdp::Image read = example::decode_photo(photo.name, photo.file);
    REQUIRE(read.shape() == photo.pixels.shape());
    CHECK(largest_difference(read, photo.pixels) <= rounding(photo.name, read));
    ++good;
  }
  CHECK(good >= 60);
}

TEST_CASE("bad photos give one error, which names the file and what is wrong") {
  for (const PhotoCase& photo : photo_cases()) {
    if (photo.error.empty()) continue;
    const std::string message = message_of(photo.name, photo.file);
    INFO(photo.name << " gives \"" << message << '"');
    CHECK(message.starts_with(photo.name + ": "));
    CHECK(message.find(photo.error) != std::string::npos);
    CHECK(std::ranges::all_of(message, [](char c) { return c >= ' ' && c <= '~'; }));
  }
}

TEST_CASE("a photo that is cut off is refused, wherever that is") {
  for (const PhotoCase& photo : photo_cases()) {
    if (!photo.error.empty() || photo.name.find("behind.") != std::string::npos) continue;
    for (std::size_t size = 1; size < photo.file.size(); ++size) {
      const std::string message = message_of("cut", Bytes(photo.file).first(size));
      if (message.find(" file is cut off in its ") != std::string::npos) continue;
      FAIL_CHECK(photo.name << " of " << size << " bytes gives \"" << message << '"');
    }
  }
}

TEST_CASE("a photo with a wrong bit gives an error or a picture") {
  for (const PhotoCase& photo : photo_cases()) {
    ByteList file = photo.file;
    for (std::size_t at = 0; at < std::min<std::size_t>(file.size(), 2000); ++at) {
      const auto bit = static_cast<std::uint8_t>(1 << (at * 5 % 8));
      file[at] ^= bit;
      static_cast<void>(message_of(photo.name, file));
      file[at] ^= bit;
    }
  }
}

TEST_CASE("what a walk lets through every decoder decodes") {
  for (const PhotoCase& photo : photo_cases()) {
    if (!photo.error.empty()) continue;
    INFO(photo.name);
    const auto walked = example::photo::walk(photo.name, photo.file);
    const bimtdp::Image by_stb = example::photo::decode_with_stb(photo.name, walked);
    const bimtdp::Image decoded = example::photo::decode(photo.name, walked);
    CHECK(largest_difference(by_stb, decoded) <= rounding(photo.name, decoded));
    CHECK(example::photo::walk(photo.name, walked.clean).clean == walked.clean);  // a clean file stays as it is
  }
}

TEST_CASE("a JPEG of few bytes cannot have its picture read a hundred times") {
  const auto words = [](ByteList& file, std::initializer_list<int> bytes) {
    for (const int byte : bytes) file.push_back(static_cast<std::uint8_t>(byte));
  };
  const int height = 4352, width = 4096, runs = height * width / 64 >> 14;
  ByteList file;
  words(file, {0xFF, 0xD8, 0xFF, 0xC2, 0, 11, 8, height >> 8, height & 255, width >> 8, width & 255, 1, 1, 0x11,
               0});  // progressive, grey
  words(file, {0xFF, 0xDB, 0, 67, 0});
  file.insert(file.end(), 64, 1);
  words(file, {0xFF, 0xC4, 0, 20, 0x00, 1});  // DC: a difference of 0 is the bit 0
  file.insert(file.end(), 15 + 1, 0);
  words(file, {0xFF, 0xC4, 0, 20, 0x10, 1});  // AC: the bit 0 and 14 more pass over 2^14 and more blocks
  file.insert(file.end(), 15, 0);
  words(file, {0xE0, 0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 0, 0});
  file.insert(file.end(), height * width / 64 / 8, 0);
  for (int coefficient = 1; coefficient <= 63; ++coefficient) {
    words(file, {0xFF, 0xDA, 0, 8, 1, 1, 0, coefficient, coefficient, 0});
    file.insert(file.end(), (runs * 15 + 7) / 8, 0);
  }
  words(file, {0xFF, 0xD9});
  CHECK(test::holds(message_of("scans.jpg", file), {"its scans have more than 16777216 blocks"}));
}

TEST_CASE("EXIF is read in linear time, however many blocks and entries a file has") {
  ByteList block(65533, 0);  // no entry of 65,535 is an orientation
  const std::string start(
      "\xFF\xE1\xFF\xFD"
      "Exif\0\0MM\0\x2A\0\0\0\x08\xFF\xFF",
      20);
  ByteList segments;
  for (int i = 0; i < 400; ++i) {
    segments.insert(segments.end(), start.begin(), start.end());
    segments.insert(segments.end(), block.begin(), block.begin() + 65533 + 2 - 20);
  }
  const ByteList file = with_segments(segments);
  CHECK(message_of("much EXIF", file) == "");
}

TEST_CASE("damaged EXIF blocks are read as upright") {
  using example::photo::exif_orientation;
  const auto turned = std::ranges::find(photo_cases(), "orientation_6.png", &PhotoCase::name);
  const std::string chunk = "eXIf";
  const auto name = std::search(turned->file.begin(), turned->file.end(), chunk.begin(), chunk.end());  // clang 14 lacks the other
  const ByteList block(name + 4, name + 4 + 26);
  CHECK(exif_orientation(block) == 6);
  CHECK(exif_orientation({}) == 1);
  for (std::size_t size = 0; size < 22; ++size) CHECK(exif_orientation(Bytes(block).first(size)) == 1);
  for (std::size_t at = 0; at < 8 * block.size(); ++at) {
    ByteList changed = block;
    changed[at / 8] ^= static_cast<std::uint8_t>(1 << at % 8);
    const int found = exif_orientation(changed);
    CHECK((found >= 1 && found <= 8));
  }
}

TEST_CASE("photos are turned as the orientation says") {
  bimtdp::Image photo({2, 3, 3});  // a b c / d e f
  for (std::size_t p = 0; p < 6; ++p) photo.data()[3 * p] = static_cast<std::uint8_t>('a' + p);
  const auto text = [&](int orientation) {
    const bimtdp::Image out = example::upright(photo, orientation);
    std::string rows;
    for (std::size_t y = 0; y < out.shape().height; ++y) {
      for (std::size_t x = 0; x < out.shape().width; ++x) rows += static_cast<char>(out(y, x, 0));
      rows += '/';
    }
    return rows;
  };
  CHECK(text(1) == "abc/def/");
  CHECK(text(2) == "cba/fed/");
  CHECK(text(3) == "fed/cba/");
  CHECK(text(4) == "def/abc/");
  CHECK(text(5) == "ad/be/cf/");
  CHECK(text(6) == "da/eb/fc/");
  CHECK(text(7) == "fc/eb/da/");
  CHECK(text(8) == "cf/be/ad/");
}
