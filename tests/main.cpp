// SPDX-License-Identifier: Apache-2.0
// main() of every test program. Exit status 77 (skipped) when BIMTDP_ISA names a tier that this CPU lacks.
#define CATCH_CONFIG_RUNNER
#include "catch.hpp"

#if __has_include(<bimtdp/simd/isa.hpp>)
#include <bimtdp/simd/isa.hpp>
#endif

int main(int argc, char** argv) { return Catch::Session().run(argc, argv); }
