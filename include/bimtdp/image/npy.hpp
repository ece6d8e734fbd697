// SPDX-License-Identifier: Apache-2.0
// Writes a map as NumPy's .npy (version 1.0): magic, header of Python text padded to 64 bytes, elements in C order.
#pragma once

#include <bimtdp/core/error.hpp>
#include <bimtdp/core/tensor.hpp>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <ios>
#include <string>
#include <type_traits>

namespace bimtdp {

/// Writes `map` as an array of shape (height, width, channels). Throws Error when the file cannot be written.
template <class T>
void write_npy(const std::filesystem::path& path, const Tensor<T>& map) {
  static_assert(std::is_same_v<T, float> || std::is_same_v<T, std::int32_t> || std::is_same_v<T, std::uint8_t>);
  const std::string type = std::is_same_v<T, float> ? "<f4" : std::is_same_v<T, std::int32_t> ? "<i4" : "|u1";
  const Shape& s = map.shape();
  std::string header = "{'descr': '" + type + "', 'fortran_order': False, 'shape': (" + std::to_string(s.height) + ", " +
                       std::to_string(s.width) + ", " + std::to_string(s.channels) + "), }";
  header.append((64 - (10 + header.size() + 1) % 64) % 64, ' ');
  header.push_back('\n');
  std::ofstream file(path, std::ios::binary);
  file.write("\x93NUMPY\x01\x00", 8);
  file.put(static_cast<char>(header.size() & 255)).put(static_cast<char>(header.size() >> 8));
  file.write(header.data(), static_cast<std::streamsize>(header.size()));
  file.write(reinterpret_cast<const char*>(map.data()), static_cast<std::streamsize>(s.elements() * sizeof(T)));
  file.close();
  check(!file.fail(), path.string(), "cannot write");
}

}  // namespace bimtdp
