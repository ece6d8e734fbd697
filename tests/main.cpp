// SPDX-License-Identifier: Apache-2.0
// main() of every test program. Exit status 77 (skipped) when BIMTDP_ISA names a tier that this CPU does not run.
#define CATCH_CONFIG_RUNNER
#include "catch.hpp"

#include <bimtdp/simd/tier.hpp>

#include <iostream>

int main(int argc, char** argv) {
  try {
    static_cast<void>(bimtdp::simd::selected());
  } catch (const bimtdp::Error& error) {
    std::cerr << error.what() << '\n';
    return 77;
  }
  return Catch::Session().run(argc, argv);
}
