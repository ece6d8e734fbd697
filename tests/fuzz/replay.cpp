// SPDX-License-Identifier: Apache-2.0
// Runs a fuzzer's test on the files of a folder, once each: what was found once is looked at by every build, without libFuzzer.
#include <bimtdp/core/error.hpp>
#include <bimtdp/io/read_file.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <iostream>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

/// Mutators call libFuzzer's, and nothing here calls them.
extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t*, std::size_t size, std::size_t) { return size; }

int main(int argc, char** argv) {
  if (argc != 2) return std::cerr << "usage: replay FOLDER\n", 2;
  try {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(argv[1])) files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    for (const std::filesystem::path& file : files) {
      std::cerr << file.filename() << '\n';  // the last one is the one that failed
      const auto bytes = bimtdp::read_file(file, std::size_t{1} << 20);
      LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    }
    std::cerr << files.size() << " files\n";
    return files.empty() ? 1 : 0;
  } catch (const std::exception& error) {
    return std::cerr << error.what() << '\n', 1;
  }
}
