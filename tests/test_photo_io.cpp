// SPDX-License-Identifier: Apache-2.0
// Pictures of the examples are written whole and read again; test_read_photo.cpp has the photos.
#include "../examples/photo_io.hpp"

#include "catch.hpp"
#include "errors.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

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
        file.string() + ": is no JPEG or PNG photo (expected the first bytes of one; convert other kinds)");
  std::ofstream(file, std::ios::trunc).close();
  CHECK(test::error_of([&] { (void)example::read_photo(file); }).starts_with(file.string() + ": is empty"));
  std::filesystem::remove(file);
  CHECK_THROWS_AS(example::read_photo(file), bimtdp::Error);
  if (!std::filesystem::exists("/dev/full")) return;
  CHECK_THROWS_AS(example::write_picture("/dev/full", picture), bimtdp::Error);
}

TEST_CASE("photos of 20,000 pixels in a row are written and read") {
  for (const std::string name : {"bimtdp_test_wide.png", "bimtdp_test_wide.jpg"}) {
    bimtdp::Image picture({2, 20000, 3});
    for (std::size_t i = 0; i < picture.span().size(); ++i) picture.data()[i] = static_cast<std::uint8_t>(i / 3 * 255 / 40000);
    const std::filesystem::path file = std::filesystem::temp_directory_path() / name;
    example::write_picture(file, picture);
    const bimtdp::Image again = example::read_photo(file);
    std::filesystem::remove(file);
    REQUIRE(again.shape() == picture.shape());
    const auto near = [](std::uint8_t a, std::uint8_t b) { return std::abs(a - b) <= 3; };
    CHECK(std::ranges::equal(again.span(), picture.span(), near));
  }
}
