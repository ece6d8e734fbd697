// SPDX-License-Identifier: Apache-2.0
// What the tests of ops share: random inputs, the tables to run on, and bitwise comparison.
#pragma once

#include "catch.hpp"

#include <bimtdp/core/bit_tensor.hpp>
#include <bimtdp/kernels/select.hpp>
#include <bimtdp/ops/workspace.hpp>

#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

namespace bimtdp::testing {

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  std::size_t in(std::size_t first, std::size_t last) { return first + engine_() % (last - first + 1); }
  bool coin() { return (engine_() >> 40) & 1; }
  float real(float scale = 1.0F) { return scale * (static_cast<float>(engine_() >> 40) / 8388608.0F - 1.0F); }
  std::uint64_t word() { return engine_(); }
  std::vector<float> reals(std::size_t count, float scale = 1.0F) {
    std::vector<float> values(count);
    for (float& v : values) v = real(scale);
    return values;
  }
  Tensor<float> floats(const Shape& shape, float scale = 1.0F) {
    Tensor<float> x(shape);
    for (float& v : x.span()) v = real(scale);
    return x;
  }
  template <class Word = std::uint32_t>
  BitTensor<Word> bits(const Shape& shape) {
    BitTensor<Word> x(shape);
    for (std::size_t y = 0; y < shape.height; ++y)
      for (std::size_t column = 0; column < shape.width; ++column)
        for (std::size_t c = 0; c < shape.channels; ++c) x.set(y, column, c, coin());
    return x;
  }
  /// Weight words [filters][taps][ceil(channels/64)] with tail bits 0.
  std::vector<std::uint64_t> weight_words(std::size_t filters, std::size_t taps, std::size_t channels) {
    const std::size_t words = words_for<std::uint64_t>(channels);
    std::vector<std::uint64_t> w(filters * taps * words);
    for (std::size_t i = 0; i < w.size(); ++i)
      w[i] = word() & low_bits<std::uint64_t>(std::min<std::size_t>(64, channels - i % words * 64));
    return w;
  }
  /// A window that fits: any kernel up to 5, stride up to 3, dilation up to 4, padding of its own on each side.
  Window window(const Shape& input, bool dilate = true) {
    for (;;) {
      Window w{{in(1, 5), in(1, 5)},
               {in(1, 3), in(1, 3)},
               {dilate ? in(1, 4) : 1, dilate ? in(1, 4) : 1},
               {in(0, 4), in(0, 4), in(0, 4), in(0, 4)}};
      if (coin()) w.kernel = {3, 3};
      if (coin()) w.stride = {1, 1};
      if (coin()) w.dilation = {1, 1};
      const auto fits = [](std::size_t size, std::size_t k, std::size_t d, std::size_t a, std::size_t b) {
        return size + a + b >= d * (k - 1) + 1;
      };
      if (fits(input.height, w.kernel[0], w.dilation[0], w.padding.top, w.padding.bottom) &&
          fits(input.width, w.kernel[1], w.dilation[1], w.padding.left, w.padding.right))
        return w;
    }
  }

 private:
  std::mt19937_64 engine_;
};

/// The reference table and every table of this CPU, or only the one that BIMTDP_ISA names.
inline std::vector<const kernels::KernelTable*> all_tables() {
  std::vector<const kernels::KernelTable*> all{&kernels::reference_table()};
  if (const char* tier = std::getenv("BIMTDP_ISA"); tier && *tier) {
    all.push_back(&kernels::active());
    return all;
  }
  for (const auto* table : kernels::tables())
    if (table != all[0]) all.push_back(table);
  return all;
}

template <class T>
bool same_bits(std::span<const T> a, std::span<const T> b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size_bytes()) == 0);
}
template <class Map>
bool same(const Map& a, const Map& b) {
  return a.shape() == b.shape() && same_bits(a.span(), b.span());
}

inline std::string text(const Window& w) {
  return text_of("kernel ", w.kernel[0], "x", w.kernel[1], " stride ", w.stride[0], "x", w.stride[1], " dilation ", w.dilation[0],
                 "x", w.dilation[1], " padding ", w.padding.top, ",", w.padding.bottom, ",", w.padding.left, ",", w.padding.right);
}

/// Input coordinate of a tap, or false outside: written anew here, so that the tests do not share the library's arithmetic.
inline bool tap_at(std::size_t output, std::size_t k, std::size_t stride, std::size_t dilation, std::size_t before,
                   std::size_t size, std::size_t& position) {
  const long long at = static_cast<long long>(output * stride + k * dilation) - static_cast<long long>(before);
  position = static_cast<std::size_t>(at);
  return at >= 0 && at < static_cast<long long>(size);
}

/// visit(ky, kx, input y, input x) for the taps inside the image of one output pixel.
template <class Visit>
void for_each_tap(const Shape& in, const Window& w, std::size_t y, std::size_t x, Visit&& visit) {
  std::size_t row = 0, column = 0;
  for (std::size_t ky = 0; ky < w.kernel[0]; ++ky)
    for (std::size_t kx = 0; kx < w.kernel[1]; ++kx)
      if (tap_at(y, ky, w.stride[0], w.dilation[0], w.padding.top, in.height, row) &&
          tap_at(x, kx, w.stride[1], w.dilation[1], w.padding.left, in.width, column))
        visit(ky, kx, row, column);
}

/// The scratch memory of ops that need none.
inline constexpr auto no_scratch = [](const auto&) { return std::size_t{0}; };

/// Runs run(out view, workspace) on every table and expects `expected` bit by bit. make(table) gives the op prepared for a table;
/// scratch(op) its bytes of scratch memory. Scratch and output hold garbage first.
template <class Map, class Make, class ScratchBytes, class Run>
void expect_everywhere(const Map& expected, Make&& make, ScratchBytes&& scratch, Run&& run) {
  for (const auto* table : all_tables()) {
    const auto op = make(*table);
    AlignedVector<std::byte> bytes(scratch(op), std::byte{0xC1});
    Map out(expected.shape());
    std::memset(out.data(), 0xC3, out.span().size_bytes());
    run(op, out.view(), ops::Workspace{table, bytes});
    INFO("table " << table->name);
    CHECK(same(out, expected));
  }
}

/// The same for run_rows(first row, rows of `out`, workspace): bands of one to four rows give `expected` together.
template <class Map, class Make, class ScratchBytes, class RunRows>
void expect_rows_everywhere(const Map& expected, Make&& make, ScratchBytes&& scratch, RunRows&& run_rows) {
  for (const auto* table : all_tables()) {
    const auto op = make(*table);
    AlignedVector<std::byte> bytes(scratch(op), std::byte{0xC1});
    Map out(expected.shape());
    std::memset(out.data(), 0xC3, out.span().size_bytes());
    const std::size_t height = expected.shape().height;
    for (std::size_t y = 0, band = 0; y < height; y += band) {
      band = std::min(height - y, 1 + y % 4);
      run_rows(op, y, out.view().rows(y, band), ops::Workspace{table, bytes});
    }
    INFO("rows, table " << table->name);
    CHECK(same(out, expected));
  }
}

}  // namespace bimtdp::testing
