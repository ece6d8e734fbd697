// SPDX-License-Identifier: Apache-2.0
// Integer thresholds for bit = (y(d) >= 0), where y is the float expression that follows a binary dot product d.
// Every step of y rounds monotonically, so y(d) is monotone and the set {d : y(d) >= 0} is one end of -limit..limit.
// It is found by bisection on the kernel's own arithmetic, never by rounding -bias/scale.
#pragma once

#include <bimtdp/ops/epilogue.hpp>

#include <algorithm>
#include <limits>
#include <vector>

namespace bimtdp::ops {

/// Owned thresholds, one closed interval a channel: bit = (at_least <= d && d <= at_most), d a dot product or a count.
struct ThresholdTable {
  AlignedVector<std::int32_t> at_least, at_most;
  /// For the kernels; the values are there `repeat` times in a row.
  [[nodiscard]] kernels::Thresholds at(std::size_t repeat = 1) const noexcept { return {at_least.data(), at_most.data(), repeat}; }
};

namespace detail {

/// The sign bit of every channel c at dot product d[c].
class SignOfDot {
 public:
  SignOfDot(const kernels::KernelTable& kernels, const PreparedEpilogue& epilogue, std::size_t channels)
      : kernels_(kernels), epilogue_(epilogue), dots_(channels), values_(channels) {}

  /// Afterwards (*this)[c] is the bit and value(c) the number behind it.
  void evaluate(const std::vector<std::int32_t>& d) {
    for (std::size_t c = 0; c < d.size(); ++c) dots_[c] = static_cast<float>(d[c]);
    kernels_.epilogue(dots_.data(), d.size(), 1, d.size(), epilogue_.at(), values_.data());
  }
  [[nodiscard]] bool operator[](std::size_t c) const { return values_[c] >= 0.0F; }
  [[nodiscard]] float value(std::size_t c) const { return values_[c]; }

 private:
  const kernels::KernelTable& kernels_;
  const PreparedEpilogue& epilogue_;
  AlignedVector<float> dots_, values_;
};

}  // namespace detail

/// Thresholds for d in -limit..limit, 0 <= limit <= 2^24 (where a float holds every integer). `epilogue` has no activation.
/// Throws Error where the expression leaves the finite floats at either end.
[[nodiscard]] inline ThresholdTable find_thresholds(const kernels::KernelTable& kernels, const PreparedEpilogue& epilogue,
                                                    std::size_t channels, std::int32_t limit, std::string_view where) {
  constexpr std::int32_t lowest = (std::numeric_limits<std::int32_t>::min)(), highest = (std::numeric_limits<std::int32_t>::max)();
  demand(limit >= 0 && limit <= (1 << 24), where, "dot products up to ", limit, " are not exact floats");
  demand(!epilogue.has_activation(), where, "bit output with an activation");

  detail::SignOfDot sign(kernels, epilogue, channels);
  std::vector<std::int32_t> low(channels, -limit), high(channels, limit), middle(channels);
  std::vector<bool> at_low(channels), at_high(channels);
  const auto ends = [&](const std::vector<std::int32_t>& d, std::vector<bool>& bits) {
    sign.evaluate(d);
    for (std::size_t c = 0; c < channels; ++c) {
      demand(std::isfinite(sign.value(c)), where, "channel ", c, ": value at dot product ", d[c], " is ", sign.value(c));
      bits[c] = sign[c];
    }
  };
  ends(low, at_low);
  ends(high, at_high);

  // Invariant: the bit at low[c] is at_low[c], that at high[c] is at_high[c]; a channel whose ends agree is constant.
  for (std::int32_t distance = 2 * limit; distance > 1; distance = distance - distance / 2) {
    for (std::size_t c = 0; c < channels; ++c) middle[c] = low[c] + (high[c] - low[c]) / 2;
    sign.evaluate(middle);
    for (std::size_t c = 0; c < channels; ++c) (sign[c] == at_low[c] ? low : high)[c] = middle[c];
  }

  ThresholdTable result{AlignedVector<std::int32_t>(channels, lowest), AlignedVector<std::int32_t>(channels, highest)};
  for (std::size_t c = 0; c < channels; ++c) {
    if (!at_low[c]) result.at_least[c] = at_high[c] ? high[c] : highest;
    if (!at_high[c]) result.at_most[c] = at_low[c] ? low[c] : lowest;
  }
  return result;
}

/// The same thresholds on n where the dot product is valid - 2n, `repeat` times in a row.
[[nodiscard]] inline ThresholdTable count_thresholds(const ThresholdTable& dots, std::int32_t valid, std::size_t repeat) {
  const auto clamped = [](std::int64_t n) {
    constexpr std::int64_t lowest = (std::numeric_limits<std::int32_t>::min)(),
                           highest = (std::numeric_limits<std::int32_t>::max)();
    return static_cast<std::int32_t>(std::clamp(n, lowest, highest));
  };
  ThresholdTable counts;
  for (std::size_t i = 0; i < repeat; ++i)
    for (std::size_t c = 0; c < dots.at_least.size(); ++c) {  // shifts round down
      counts.at_least.push_back(clamped((std::int64_t{valid} - dots.at_most[c] + 1) >> 1));
      counts.at_most.push_back(clamped((std::int64_t{valid} - dots.at_least[c]) >> 1));
    }
  return counts;
}

}  // namespace bimtdp::ops
