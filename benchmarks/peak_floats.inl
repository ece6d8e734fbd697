// SPDX-License-Identifier: Apache-2.0
// The fused multiply-adds of a loop that stays in registers; returns their number.
inline double float_rounds(std::size_t rounds) {
  constexpr std::size_t sums = 10;
  Floats sum[sums], x = Floats::set(0.5f), w = Floats::set(0.25f);
  BIMTDP_UNROLL
  for (std::size_t i = 0; i < sums; ++i) sum[i] = Floats::set(static_cast<float>(i));
  for (std::size_t r = 0; r < rounds; ++r) {
    BIMTDP_UNROLL
    for (std::size_t i = 0; i < sums; ++i) sum[i] = fma(x, w, sum[i]);
    x = hide(x), w = hide(w);
  }
  float lanes[Floats::width];
  for (std::size_t i = 0; i < sums; ++i) {
    sum[i].store(lanes);
    benchmark::DoNotOptimize(lanes[0]);
  }
  return static_cast<double>(rounds) * static_cast<double>(sums * Floats::width);
}
