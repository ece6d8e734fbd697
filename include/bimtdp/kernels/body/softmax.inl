// SPDX-License-Identifier: Apache-2.0
// Softmax. Each group's sum runs from its first value in order; vectors come from independent groups or values.

inline constexpr std::size_t most_in_lanes = 16;

/// Softmax of `width` small groups, one a lane: value i of lane j at x[j*group + i]; group <= most_in_lanes.
inline void softmax_lanes(const float* x, std::size_t group, float* out) noexcept {
  Floats value[most_in_lanes];
  Floats largest = value[0] = Floats::gather(x, group);
  for (std::size_t i = 1; i < group; ++i) {
    value[i] = Floats::gather(x + i, group);
    largest = select(greater(value[i], largest), value[i], largest);
  }
  Floats sum = Floats::set(0.0f);
  for (std::size_t i = 0; i < group; ++i) {
    value[i] = exponential(value[i] - largest);
    sum = sum + value[i];
  }
  for (std::size_t i = 0; i < group; ++i) (value[i] / sum).scatter(out + i, group);
}

/// Softmax of `width` groups of four: transposed, each of four vectors holds one value of every group.
inline void softmax_fours(const float* x, float* out) noexcept {
  Floats value[4];
  for (std::size_t i = 0; i < 4; ++i) value[i] = Floats::load(x + i * Floats::width);
  transpose4(value);
  Floats largest = value[0];
  for (std::size_t i = 1; i < 4; ++i) largest = select(greater(value[i], largest), value[i], largest);
  Floats sum = Floats::set(0.0f);
  for (std::size_t i = 0; i < 4; ++i) {
    value[i] = exponential(value[i] - largest);
    sum = sum + value[i];
  }
  for (std::size_t i = 0; i < 4; ++i) value[i] = value[i] / sum;
  transpose4(value);
  for (std::size_t i = 0; i < 4; ++i) value[i].store(out + i * Floats::width);
}

/// The largest value of a group. In lanes: where order would matter (NaN, zeros of both signs) the softmax is the same.
inline float largest_of(const float* x, std::size_t group) noexcept {
  float largest = x[0];
  std::size_t i = 1;
  if (group >= Floats::width) {
    Floats most = Floats::load(x);
    for (i = Floats::width; i + Floats::width <= group; i += Floats::width) {
      const Floats value = Floats::load(x + i);
      most = select(greater(value, most), value, most);
    }
    alignas(64) float lanes[Floats::width];
    most.store(lanes);
    largest = lanes[0];
    for (const float lane : lanes) largest = lane > largest ? lane : largest;
  }
  for (; i < group; ++i) largest = x[i] > largest ? x[i] : largest;
  return largest;
}

/// Softmax of G neighbouring groups, along their values; G sums are in flight at once.
template <std::size_t G>
inline void softmax_groups(const float* x, std::size_t group, float* out) noexcept {
  for (std::size_t g = 0; g < G; ++g) {
    const Floats largest = Floats::set(largest_of(x + g * group, group));
    for_lanes(group, [&](std::size_t i, auto part) {
      exponential(Floats::load(x + g * group + i, part) - largest).store(out + g * group + i, part);
    });
  }
  float sum[G] = {};
  for (std::size_t i = 0; i < group; ++i) {
    BIMTDP_UNROLL
    for (std::size_t g = 0; g < G; ++g) sum[g] = sum[g] + out[g * group + i];
  }
  for (std::size_t g = 0; g < G; ++g) {
    const Floats divisor = Floats::set(sum[g]);
    for_lanes(group, [&](std::size_t i, auto part) {
      float* const value = out + g * group + i;
      (Floats::load(value, part) / divisor).store(value, part);
    });
  }
}

inline void softmax(const float* x, std::size_t groups, std::size_t group, float* out) noexcept {
  std::size_t g = 0;
  if (group == 4) {
    for (; g + Floats::width <= groups; g += Floats::width) softmax_fours(x + g * group, out + g * group);
  } else if (group <= most_in_lanes) {
    for (; g + Floats::width <= groups; g += Floats::width) softmax_lanes(x + g * group, group, out + g * group);
  }
  for (; g + 4 <= groups; g += 4) softmax_groups<4>(x + g * group, group, out + g * group);
  for (; g < groups; ++g) softmax_groups<1>(x + g * group, group, out + g * group);
}
