// SPDX-License-Identifier: Apache-2.0
// .npy files, byte for byte, and files that cannot be written to the end.
#include <bimtdp/io/npy.hpp>

#include "catch.hpp"
#include "errors.hpp"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

using namespace bimtdp;

namespace {

template <class T>
std::string npy(const Tensor<T>& map) {
  std::ostringstream out;
  write_npy(out, map);
  return out.str();
}

}  // namespace

TEST_CASE(".npy files have NumPy's header") {
  const auto path = std::filesystem::temp_directory_path() / "bimtdp_test_npy.npy";
  Tensor<float> map({2, 3, 1});
  map(1, 2, 0) = 1.5f;
  write_npy(path, map);
  std::ifstream file(path, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), {});
  CHECK(bytes.substr(0, 8) == std::string("\x93NUMPY\x01\x00", 8));
  CHECK(bytes.find("'descr': '<f4'") != std::string::npos);
  CHECK(bytes.find("'shape': (2, 3, 1)") != std::string::npos);
  CHECK(bytes.size() % 64 == 24);
  CHECK(bytes == npy(map));
  CHECK(std::memcmp(bytes.data() + bytes.size() - 24, map.data(), 24) == 0);
  std::filesystem::remove(path);
  CHECK_THROWS_AS(write_npy("/no/such/folder/x.npy", map), Error);
}

TEST_CASE("the header fills a multiple of 64 bytes whatever the shape, and names the type") {
  for (std::size_t width = 1; width < 1'000'000; width *= 10) {
    const std::string bytes = npy(Tensor<std::uint8_t>({1, width, 1}));
    const std::size_t header = bytes.size() - width;
    CHECK(header % 64 == 0);
    CHECK(static_cast<unsigned char>(bytes[8]) + 256U * static_cast<unsigned char>(bytes[9]) == header - 10);
    CHECK(bytes[header - 1] == '\n');
    CHECK(bytes.find("{'descr': '|u1', 'fortran_order': False, 'shape': (1, " + std::to_string(width) + ", 1), }") == 10);
  }
  CHECK(npy(Tensor<std::int32_t>({1, 1, 1})).find("'descr': '<i4'") == 11);
  CHECK(npy(Tensor<float>({0, 4, 2})).size() == 128);  // an empty map is a header alone
}

TEST_CASE("a full disk is noticed") {
  if (!std::filesystem::exists("/dev/full")) return;
  const auto write = [] { write_npy("/dev/full", Tensor<float>({1, 1, 1})); };  // so little that only closing writes it
  CHECK(test::error_of(write) == "/dev/full: cannot be written (No space left on device)");
}
