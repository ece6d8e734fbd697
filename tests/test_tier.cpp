// SPDX-License-Identifier: Apache-2.0
// Which tiers this CPU runs, their names, and the BIMTDP_ISA override.
#include <bimtdp/kernels/select.hpp>
#include <bimtdp/simd/tier.hpp>

#include "catch.hpp"

#include <cstdlib>
#include <string>

using bimtdp::Error;
using bimtdp::simd::Tier;
namespace kernels = bimtdp::kernels;
namespace simd = bimtdp::simd;

namespace {

/// Sets BIMTDP_ISA for a scope; null unsets it.
class Override {
 public:
  explicit Override(const char* value) {
    if (const char* old = std::getenv("BIMTDP_ISA")) old_ = old, was_set_ = true;
    value ? setenv("BIMTDP_ISA", value, 1) : unsetenv("BIMTDP_ISA");
  }
  ~Override() { was_set_ ? setenv("BIMTDP_ISA", old_.c_str(), 1) : unsetenv("BIMTDP_ISA"); }
  Override(const Override&) = delete;
  Override& operator=(const Override&) = delete;

 private:
  std::string old_;
  bool was_set_ = false;
};

std::string error_of(const char* wanted) {
  const Override override(wanted);
  try {
    static_cast<void>(simd::selected());
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("the baseline always runs and tiers of another architecture never do") {
  CHECK(simd::runnable(Tier::baseline));
#if defined(__x86_64__)
  CHECK_FALSE(simd::runnable(Tier::neon));
#else
  CHECK_FALSE(simd::runnable(Tier::avx2));
#endif
  if (simd::runnable(Tier::avx512)) CHECK(simd::runnable(Tier::avx2));
  if (simd::runnable(Tier::avx2)) CHECK(simd::runnable(Tier::sse42));
}

TEST_CASE("BIMTDP_ISA names the tier; empty or unset means the best") {
  for (const Tier tier : simd::all_tiers) {
    if (!simd::runnable(tier)) continue;
    const Override override(simd::name(tier));
    CHECK(simd::selected() == tier);
  }
  const Override unset(nullptr);
  CHECK(simd::selected() == simd::best());
  const Override empty("");
  CHECK(simd::selected() == simd::best());
}

TEST_CASE("an unknown tier or one that this CPU lacks is an error that names the choices") {
  for (const char* wrong : {"avx1024", "AVX2", "reference", " avx2", "baseline "}) {
    const std::string message = error_of(wrong);
    INFO(message);
    CHECK(contains(message, "BIMTDP_ISA"));
    CHECK(contains(message, std::string("unknown tier '") + wrong + "'"));
    CHECK(contains(message, simd::runnable_names()));
  }
  for (const Tier tier : simd::all_tiers) {
    if (simd::runnable(tier)) continue;
    const std::string message = error_of(simd::name(tier));
    INFO(message);
    CHECK(contains(message, "does not run"));
    CHECK(contains(message, "baseline"));
  }
}

TEST_CASE("tables: best first, one for every tier that runs") {
  const auto tables = kernels::tables();
  REQUIRE(!tables.empty());
  std::string names;
  for (const kernels::KernelTable* table : tables) {
    names += (names.empty() ? "" : ", ") + std::string(table->name);
    CHECK(table->binary_lanes >= 1);
    CHECK(table->float_lanes >= 1);
  }
  CHECK(names == simd::runnable_names());
  CHECK(tables.front()->name == std::string(simd::name(simd::best())));
  CHECK(tables.back()->name == std::string("baseline"));
}

TEST_CASE("the active table is the selected one") { CHECK(kernels::active().name == std::string(simd::name(simd::selected()))); }
