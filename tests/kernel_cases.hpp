// SPDX-License-Identifier: Apache-2.0
// Random inputs and bit-for-bit comparison for the kernel tests, and the list of what they compare.
#pragma once

#include <bimtdp/core/aligned.hpp>
#include <bimtdp/kernels/select.hpp>

#include "catch.hpp"

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace cases {

using bimtdp::AlignedVector;
using bimtdp::kernels::BinaryGemm;
using bimtdp::kernels::Depthwise;
using bimtdp::kernels::Epilogue;
using bimtdp::kernels::JoinBits;
using bimtdp::kernels::KernelTable;
using bimtdp::kernels::PackedWord;
using bimtdp::kernels::Tap;

inline std::mt19937& generator() {
  static std::mt19937 engine(20240611);
  return engine;
}

inline std::size_t below(std::size_t n) { return static_cast<std::size_t>(generator()() % n); }

/// Floats of mixed size; with `special`, one in eight is a zero, an infinity, a NaN, a subnormal, a huge or a tiny value.
inline std::vector<float> floats(std::size_t count, bool special) {
  using Limits = std::numeric_limits<float>;
  static constexpr float odd[] = {0.0f,
                                  -0.0f,
                                  Limits::infinity(),
                                  -Limits::infinity(),
                                  Limits::quiet_NaN(),
                                  Limits::denorm_min(),
                                  -3 * Limits::denorm_min(),
                                  Limits::max(),
                                  Limits::min(),
                                  -1.0f,
                                  1.0f,
                                  6.0f,
                                  0.5f,
                                  -88.0f,
                                  104.0f};
  std::normal_distribution<float> normal(0.0f, 2.0f);
  std::vector<float> values(count);
  for (float& v : values) v = special && below(8) == 0 ? odd[below(std::size(odd))] : normal(generator());
  return values;
}

inline std::vector<std::uint32_t> words(std::size_t count) {
  std::vector<std::uint32_t> values(count);
  for (std::uint32_t& v : values) v = static_cast<std::uint32_t>(generator()());
  return values;
}

/// Bits of `channels` channels a pixel, tail bits 0.
inline std::vector<std::uint32_t> packed(std::size_t pixels, std::size_t channels) {
  const std::size_t each = (channels + 31) / 32;
  std::vector<std::uint32_t> values = words(pixels * each);
  if (channels % 32 != 0)
    for (std::size_t p = 0; p < pixels; ++p) values[p * each + each - 1] &= (1u << (channels % 32)) - 1u;
  return values;
}

inline bool same(float a, float b) {
  return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b) || (a != a && b != b);
}
inline bool same(std::int32_t a, std::int32_t b) { return a == b; }
inline bool same(std::uint32_t a, std::uint32_t b) { return a == b; }

/// Index of the first element that differs, or the size where none does. NaNs are equal whatever their payload.
template <class T>
std::size_t first_difference(const std::vector<T>& got, const std::vector<T>& expected) {
  for (std::size_t i = 0; i < expected.size(); ++i)
    if (!same(got[i], expected[i])) return i;
  return expected.size();
}

/// Weights given as [channel][tap][k], laid out for a table of `lanes` channels a block.
template <class T>
AlignedVector<T> lay_out(const std::vector<T>& weights, std::size_t channels, std::size_t taps, std::size_t depth,
                         std::size_t lanes) {
  AlignedVector<T> laid((channels + lanes - 1) / lanes * lanes * taps * depth);
  for (std::size_t c = 0; c < channels; ++c)
    for (std::size_t i = 0; i < taps * depth; ++i)
      laid[(c / lanes * taps * depth + i) * lanes + c % lanes] = weights[c * taps * depth + i];
  return laid;
}

/// Random taps into an input of `pixels` pixels `step` apart, `used` of `all` indices in rising order.
template <class T>
struct Window {
  std::vector<T> input;
  std::vector<Tap<T>> taps;
  Window(std::vector<T> values, std::size_t pixels, std::size_t step, std::size_t depth, std::size_t used, std::size_t all)
      : input(std::move(values)) {
    const std::size_t reach = pixels == 0 ? 0 : (pixels - 1) * step + depth;
    for (std::size_t index = 0; index < all && taps.size() < used; ++index)
      if (all - index <= used - taps.size() || below(2) == 0)
        taps.push_back({input.data() + below(input.size() - reach + 1), index});
  }
};

/// Runs `check` on every table of this CPU.
template <class Check>
void for_each_table(Check check) {
  for (const KernelTable* table : bimtdp::kernels::tables()) check(*table);
}

/// The kernels that this program's cases compare; KERNEL_CASE adds to them before any case runs.
inline std::set<std::string>& compared_kernels() {
  static std::set<std::string> names;
  return names;
}
inline bool compares(const std::string& names) {
  std::istringstream list(names);
  for (std::string name; std::getline(list >> std::ws, name, ',');) compared_kernels().insert(name);
  return true;
}

}  // namespace cases

/// A test case that compares these entries of the kernel table with the reference on every tier.
#define KERNEL_CASE(text, ...) KERNEL_CASE_AT(__LINE__, text, #__VA_ARGS__)
#define KERNEL_CASE_AT(line, text, kernels) KERNEL_CASE_HERE(line, text, kernels)
#define KERNEL_CASE_HERE(line, text, kernels)                                    \
  [[maybe_unused]] static const bool compares_##line = cases::compares(kernels); \
  TEST_CASE(text)

/// A name of a list of kernels/table.hpp, for a set of them.
#define KERNEL_NAME(kernel) #kernel,
