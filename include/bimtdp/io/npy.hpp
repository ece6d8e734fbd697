// SPDX-License-Identifier: Apache-2.0
// Writes a map as NumPy's .npy (version 1.0): magic, header of Python text padded to 64 bytes, elements in C order.
#pragma once

#include <bimtdp/core/tensor.hpp>
#include <bimtdp/io/write_file.hpp>

#include <cstdint>
#include <filesystem>
#include <ios>
#include <ostream>
#include <string>
#include <type_traits>

namespace bimtdp {

/// Writes `map` as an array of shape (height, width, channels). Whoever owns the stream checks it.
template <class T>
void write_npy(std::ostream& out, const Tensor<T>& map) {
  static_assert(std::is_same_v<T, float> || std::is_same_v<T, std::int32_t> || std::is_same_v<T, std::uint8_t>);
  const std::string type = std::is_same_v<T, float> ? "<f4" : std::is_same_v<T, std::int32_t> ? "<i4" : "|u1";
  const Shape& s = map.shape();
  std::string header = "{'descr': '" + type + "', 'fortran_order': False, 'shape': (" + std::to_string(s.height) + ", " +
                       std::to_string(s.width) + ", " + std::to_string(s.channels) + "), }";
  header.append(63 - (10 + header.size()) % 64, ' ');  // magic, length, header and newline fill a multiple of 64 bytes
  header.push_back('\n');
  out.write("\x93NUMPY\x01\x00", 8);
  out.put(static_cast<char>(header.size() & 255)).put(static_cast<char>(header.size() >> 8));
  out.write(header.data(), static_cast<std::streamsize>(header.size()));
  out.write(reinterpret_cast<const char*>(map.data()), static_cast<std::streamsize>(s.elements() * sizeof(T)));
}

/// The same into a file. Throws Error when it cannot be written.
template <class T>
void write_npy(const std::filesystem::path& path, const Tensor<T>& map) {
  write_file(path, [&](std::ostream& out) { write_npy(out, map); });
}

}  // namespace bimtdp
