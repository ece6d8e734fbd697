// SPDX-License-Identifier: Apache-2.0
// Photos of the examples: upright whatever the camera's orientation, refused with a message where they are none.
#include "../examples/photo_io.hpp"

#include "catch.hpp"
#include "errors.hpp"

#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

namespace {

/// The start of a JPEG file with an EXIF block that holds one entry, the orientation.
std::vector<std::uint8_t> jpeg_with_orientation(std::uint8_t value, bool big_endian) {
  const auto word = [&](unsigned v) {
    const auto high = static_cast<std::uint8_t>(v >> 8), low = static_cast<std::uint8_t>(v & 255);
    return big_endian ? std::vector<std::uint8_t>{high, low} : std::vector<std::uint8_t>{low, high};
  };
  std::vector<std::uint8_t> file{0xFF, 0xD8, 0xFF, 0xE1, 0, 34, 'E', 'x', 'i', 'f', 0, 0};
  const auto append = [&](const std::vector<std::uint8_t>& bytes) { file.insert(file.end(), bytes.begin(), bytes.end()); };
  append(big_endian ? std::vector<std::uint8_t>{'M', 'M'} : std::vector<std::uint8_t>{'I', 'I'});
  append(word(42));
  append(big_endian ? std::vector<std::uint8_t>{0, 0, 0, 8} : std::vector<std::uint8_t>{8, 0, 0, 0});
  append(word(1));  // entries: tag, type, count, value
  append(word(0x0112));
  append(word(3));
  append(big_endian ? std::vector<std::uint8_t>{0, 0, 0, 1} : std::vector<std::uint8_t>{1, 0, 0, 0});
  append(word(value));
  append({0, 0, 0, 0, 0, 0, 0xFF, 0xDA});
  return file;
}

}  // namespace

TEST_CASE("the orientation of a JPEG is read from its EXIF block") {
  for (const bool big_endian : {false, true})
    for (std::uint8_t value = 1; value <= 8; ++value)
      CHECK(example::orientation(jpeg_with_orientation(value, big_endian)) == value);
  CHECK(example::orientation({}) == 1);
}

TEST_CASE("damaged EXIF blocks are read as upright, and no byte outside the file is touched") {
  const std::vector<std::uint8_t> file = jpeg_with_orientation(6, true);
  for (std::size_t size = 0; size < file.size(); ++size) {
    const std::vector<std::uint8_t> cut(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(size));
    const int found = example::orientation(cut);
    CHECK((found == 1 || found == 6));
  }
  for (std::size_t at = 0; at < file.size(); ++at) {
    std::vector<std::uint8_t> changed = file;
    changed[at] = 0xFF;
    const int found = example::orientation(changed);
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

TEST_CASE("a picture that is written is read again, and other files are refused") {
  bimtdp::Image picture({4, 5, 3});
  for (std::size_t i = 0; i < picture.span().size(); ++i) picture.data()[i] = static_cast<std::uint8_t>(4 * i);
  const std::filesystem::path file = std::filesystem::temp_directory_path() / "bimtdp_test_photo.png";
  example::write_picture(file, picture);
  const bimtdp::Image again = example::read_photo(file);
  CHECK(again.shape() == picture.shape());
  CHECK(std::equal(again.span().begin(), again.span().end(), picture.span().begin()));
  std::ofstream(file) << "no photo";
  CHECK(test::error_of([&] { (void)example::read_photo(file); }) ==
        file.string() + ": is no JPEG or PNG photo that can be read (unknown image type)");
  std::ofstream(file, std::ios::trunc).close();
  CHECK_THROWS_AS(example::read_photo(file), bimtdp::Error);
  std::filesystem::remove(file);
  CHECK_THROWS_AS(example::read_photo(file), bimtdp::Error);
  if (!std::filesystem::exists("/dev/full")) return;
  CHECK_THROWS_AS(example::write_picture("/dev/full", picture), bimtdp::Error);
}
