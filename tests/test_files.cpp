// SPDX-License-Identifier: Apache-2.0
// Files: written whole or not at all, read no further than their beginning is right.
#include <bimtdp/io/safetensors.hpp>
#include <bimtdp/io/write_file.hpp>

#include "catch.hpp"
#include "errors.hpp"
#include "model_file.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <ostream>
#include <random>
#include <stdexcept>
#include <string>

#if defined(__unix__)
#include <sys/resource.h>

#include <csignal>
#endif

using namespace bimtdp;
using test::error_of;
using test::holds;
namespace fs = std::filesystem;

namespace {

/// A folder that is removed at the end of the test.
struct Folder {
  fs::path path = fs::temp_directory_path() / ("bimtdp_files_" + std::to_string(std::random_device{}()));
  Folder() { fs::create_directories(path); }
  ~Folder() { fs::remove_all(path); }
  [[nodiscard]] std::size_t files() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(path), fs::directory_iterator()));
  }
};

std::string content(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Counts what is read of a file that claims to be large.
struct CountingReader {
  test::Bytes start;
  std::uint64_t size = 0, taken = 0;
  [[nodiscard]] std::string name() const { return "large"; }
  [[nodiscard]] std::uint64_t bytes() const { return size; }
  void read(std::uint64_t offset, std::span<std::byte> out) {
    taken += out.size();
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = offset + i < start.size() ? start[offset + i] : std::byte{0};
  }
  void finish() const {}
};

}  // namespace

TEST_CASE("a written file is whole and alone in its folder") {
  const Folder folder;
  const fs::path path = folder.path / "map.npy";
  write_file(path, [](std::ostream& out) { out << "first"; });
  write_file(path, [](std::ostream& out) { out << "2"; });
  CHECK(content(path) == "2");
  CHECK(folder.files() == 1);
}

TEST_CASE("a file that cannot be written whole leaves what was there") {
  const Folder folder;
  const fs::path path = folder.path / "map.npy";
  write_file(path, [](std::ostream& out) { out << "before"; });
  CHECK_THROWS_AS(write_file(path, [](std::ostream& out) { out << "half", throw std::runtime_error("encoder"); }),
                  std::runtime_error);
  CHECK(
      holds(error_of([&] { write_file(path, [](std::ostream& out) { out.setstate(std::ios::badbit); }); }), {"cannot be written"}));
  CHECK(content(path) == "before");
  CHECK(holds(error_of([&] { write_file(folder.path / "none" / "x", [](std::ostream&) {}); }),
              {"none", "cannot be written (No such"}));
  CHECK(holds(error_of([&] { write_file(folder.path, [](std::ostream& out) { out << 1; }); }), {"cannot be written"}));
  CHECK(folder.files() == 1);
}

#if defined(__unix__)
TEST_CASE("a disk that is full while the end is written is noticed") {
  const Folder folder;
  const fs::path path = folder.path / "map.npy";
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{1000, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  const std::string error = error_of([&] { write_file(path, [](std::ostream& out) { out << std::string(1001, 'x'); }); });
  setrlimit(RLIMIT_FSIZE, &before);
  CHECK(holds(error, {"map.npy", "cannot be written (File too large)"}));
  CHECK(folder.files() == 0);
  if (fs::exists("/dev/full"))
    CHECK(holds(error_of([] { write_file("/dev/full", [](std::ostream& out) { out << 1; }); }), {"No space left on device"}));
  if (fs::exists("/dev/null")) write_file("/dev/null", [](std::ostream& out) { out << 1; });
}

TEST_CASE("a symbolic link stays one") {
  const Folder folder;
  write_file(folder.path / "file", [](std::ostream& out) { out << "1"; });
  fs::create_symlink(folder.path / "file", folder.path / "link");
  write_file(folder.path / "link", [](std::ostream& out) { out << "2"; });
  CHECK(fs::is_symlink(folder.path / "link"));
  CHECK(content(folder.path / "file") == "2");
}
#endif

TEST_CASE("nothing is read that the bytes before refuse") {
  constexpr std::uint64_t huge = std::uint64_t{1} << 50;
  const auto taken = [&](test::Bytes start, const auto& accept) {
    CountingReader reader{std::move(start), huge};
    CHECK_FALSE(error_of([&] { (void)SafeTensors::read_from(reader, accept); }).empty());
    return reader.taken;
  };
  const auto anything = [](const Metadata&) {};
  CHECK(taken(test::Bytes(100), anything) <= 256);           // zeros: the magic is wrong
  CHECK(taken(test::raw_file("{\"a\":"), anything) <= 512);  // a header that is no JSON
  CHECK(taken(test::raw_file("{}"), anything) <= 512);       // a header that names no data
  const std::string header = R"({"a":{"dtype":"U8","shape":[16777216],"data_offsets":[0,16777216]}})";
  CountingReader reader{test::raw_file(header), 8 + header.size() + (1u << 24)};
  CHECK(holds(error_of([&] { (void)SafeTensors::read_from(reader, [](const Metadata&) { fail("file", "not wanted"); }); }),
              {"not wanted"}));
  CHECK(reader.taken <= 512);
  CHECK(error_of([&] { (void)SafeTensors::read_from(reader, anything); }).empty());
}

TEST_CASE("2 GB of zeros are refused at once") {
  const Folder folder;
  const fs::path path = folder.path / "zeros.safetensors";
  std::ofstream(path).put('\0');
  fs::resize_file(path, std::uintmax_t{1} << 31);  // no blocks on the disk
  CHECK(holds(error_of([&] { (void)SafeTensors::read(path); }), {"wrong magic", "got byte 0", "expected '{'"}));
}
