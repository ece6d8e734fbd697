// SPDX-License-Identifier: Apache-2.0
// Regions round as they promise: the fma of every tier, the emulated one included, equals std::fma bit for bit on hard cases, and
// a product and a sum are never fused by the compiler.
#include <bimtdp/kernels/select.hpp>
#include <bimtdp/simd/emulated_fma.hpp>
#include <bimtdp/simd/target.hpp>

#include "catch.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

namespace {

using bimtdp::kernels::Epilogue;
using bimtdp::kernels::KernelTable;
using bimtdp::kernels::reference_table;
using bimtdp::kernels::tables;

struct Cases {
  std::vector<float> a, b, c;
  void add(float x, float y, float z) { a.push_back(x), b.push_back(y), c.push_back(z); }
};

float from_bits(std::uint32_t bits) { return std::bit_cast<float>(bits); }

/// Sums near a tie of two floats, cancellations, results in the subnormal range, overflow, and all pairs of special values.
const Cases& hard_cases() {
  static const Cases cases = [] {
    Cases list;
    std::mt19937 g(5);
    const auto bits = [&] { return static_cast<std::uint32_t>(g()); };
    const auto sign = [&] { return g() % 2 ? 1.0f : -1.0f; };
    const auto unit = [&] { return from_bits(0x3f800000u | (bits() >> 9)); };  // [1, 2)
    const auto short_unit = [&](unsigned kept) { return from_bits(0x3f800000u | (bits() >> 9 >> (23 - kept) << (23 - kept))); };
    const auto any_exponent = [&](int low, int high) {
      return static_cast<int>(g() % static_cast<unsigned>(high - low + 1)) + low;
    };
    for (int i = 0; i < 250000; ++i) {
      list.add(from_bits(bits()), from_bits(bits()), from_bits(bits()));
      // The addend is half a last place of the product's neighbourhood: exact ties and misses by one bit of the product.
      const float x = short_unit(11), y = short_unit(12), product = x * y;
      list.add(x, y, sign() * std::ldexp(product, any_exponent(-26, 26)));
      list.add(sign() * unit(), unit(), sign() * std::ldexp(short_unit(3), any_exponent(-50, 50)));
      // Subnormal results, and products far below the addend's last place.
      const int e = any_exponent(-80, -60);
      list.add(sign() * std::ldexp(unit(), e), std::ldexp(unit(), -148 - e + any_exponent(-4, 4)),
               sign() * std::ldexp(short_unit(4), any_exponent(-149, -120)));
    }
    // A product within 2^-24 of half the addend's last place: a tie but for bits that a double cannot hold.
    for (int i = 0; i < 250000; ++i) {
      const float x = unit(), addend = 0x1p24f + 2.0f * static_cast<float>(g() % (1u << 22));
      const int e = any_exponent(-40, 40);
      list.add(sign() * std::ldexp(x, e), 1.0f / x, sign() * std::ldexp(addend, e));
    }
    for (int i = 0; i < 50000; ++i) {
      const float x = unit(), y = unit(), near = -(x * y);
      list.add(x, y, near);  // the rounding error of a product
      list.add(x, y, std::nextafter(near, i % 2 ? 9.0f : -9.0f));
      list.add(x, std::ldexp(y, 127), std::ldexp(-unit(), 127));  // around the largest float
    }
    using L = std::numeric_limits<float>;
    const float odd[] = {0.0f,     -0.0f,     1.0f,     -1.0f,     L::infinity(),   -L::infinity(),   L::quiet_NaN(),
                         L::max(), -L::max(), L::min(), -L::min(), L::denorm_min(), -L::denorm_min(), L::epsilon(),
                         0.5f,     1.5f};
    for (const float x : odd)
      for (const float y : odd)
        for (const float z : odd) list.add(x, y, z);
    while (list.a.size() % 4 != 0) list.add(0.0f, 0.0f, 0.0f);
    return list;
  }();
  return cases;
}

bool same(float x, float y) { return std::bit_cast<std::uint32_t>(x) == std::bit_cast<std::uint32_t>(y) || (x != x && y != y); }

using Loop = void (*)(const KernelTable&, const float*, const float*, const float*, std::size_t, float*);

/// out = fma(a, b, c): the epilogue's scale and bias.
void fused(const KernelTable& table, const float* a, const float* b, const float* c, std::size_t n, float* out) {
  Epilogue e;
  e.scale = b, e.bias = c;
  table.epilogue(a, n, 1, n, e, out);
}
/// out = a*b + c with two roundings: its alpha and bias.
void apart(const KernelTable& table, const float* a, const float* b, const float* c, std::size_t n, float* out) {
  Epilogue e;
  e.alpha = b, e.bias = c;
  table.epilogue(a, n, 1, n, e, out);
}
#if defined(__SSE2__)
BIMTDP_EXACT_BEGIN
void emulated(const KernelTable&, const float* a, const float* b, const float* c, std::size_t n, float* out) {
  for (std::size_t i = 0; i < n; i += 4)
    _mm_storeu_ps(out + i, bimtdp::simd::emulated_fma(_mm_loadu_ps(a + i), _mm_loadu_ps(b + i), _mm_loadu_ps(c + i)));
}
BIMTDP_EXACT_END
#endif

std::size_t wrong(const KernelTable& table, Loop loop, float (*truth)(float, float, float)) {
  const Cases& k = hard_cases();
  std::vector<float> out(k.a.size());
  loop(table, k.a.data(), k.b.data(), k.c.data(), out.size(), out.data());
  std::size_t count = 0;
  for (std::size_t i = 0; i < out.size(); ++i) count += !same(out[i], truth(k.a[i], k.b[i], k.c[i]));
  return count;
}

float once(float a, float b, float c) { return std::fma(a, b, c); }
float twice(float a, float b, float c) {
  volatile float product = a * b;
  return product + c;
}

}  // namespace

TEST_CASE("fma rounds once on every tier") {
  REQUIRE(hard_cases().a.size() > 1000000);
  for (const KernelTable* table : tables()) {
    INFO(table->name);
    CHECK(wrong(*table, fused, once) == 0);
  }
}

#if defined(__SSE2__)
TEST_CASE("the emulated fma rounds once, whatever the flags") { CHECK(wrong(reference_table(), emulated, once) == 0); }
#endif

TEST_CASE("a product and a sum round twice on every tier") {
  for (const KernelTable* table : tables()) {
    INFO(table->name);
    CHECK(wrong(*table, apart, twice) == 0);
  }
}

TEST_CASE("the cases tell the two apart") { CHECK(wrong(reference_table(), fused, twice) > 100000); }
