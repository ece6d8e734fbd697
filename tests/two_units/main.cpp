// SPDX-License-Identifier: Apache-2.0
// Two translation units with different -m flags in one program give the same bits. On a CPU without AVX2 only the plain
// one runs.
#include <bimtdp/simd/tier.hpp>

#include <iostream>
#include <string>

std::string plain_results();
std::string fast_results();

int main() {
  const std::string plain = plain_results();
  std::cout << plain;
  if (!bimtdp::simd::runnable(bimtdp::simd::Tier::avx2)) return 0;
  const bool same = fast_results() == plain;
  std::cout << (same ? "both units agree\n" : "the units differ\n");
  return same ? 0 : 1;
}
