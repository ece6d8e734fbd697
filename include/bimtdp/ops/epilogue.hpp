// SPDX-License-Identifier: Apache-2.0
// What follows the sum of a convolution: per-channel parameters, checked and owned, as kernels::Epilogue reads them.
#pragma once

#include <bimtdp/core/aligned.hpp>
#include <bimtdp/core/error.hpp>
#include <bimtdp/kernels/table.hpp>

#include <cmath>
#include <cstdint>
#include <span>
#include <string_view>

namespace bimtdp::ops {

/// prelu needs `slope`, rprelu all three, the other kinds none; one value a channel.
struct ActivationParameters {
  kernels::ActivationKind kind = kernels::ActivationKind::none;
  std::span<const float> slope{};
  std::span<const float> shift_in{};
  std::span<const float> shift_out{};
};

/// See kernels::Epilogue; an empty span leaves its step out, and a scale needs a bias.
struct EpilogueParameters {
  std::span<const float> alpha{};
  std::span<const float> scale{};
  std::span<const float> bias{};
  ActivationParameters activation{};
};

/// Copies one value a channel, `repeat` times in a row; throws Error unless there are none or `channels` values, all of them
/// finite.
[[nodiscard]] inline AlignedVector<float> channel_values(std::span<const float> values, std::size_t channels,
                                                         std::string_view where, std::string_view name, std::size_t repeat = 1) {
  if (!values.empty()) check_equal(values.size(), channels, where, name);
  for (const float value : values) demand(std::isfinite(value), where, name, " holds ", value);
  AlignedVector<float> copy;
  copy.reserve(repeat * values.size());
  for (std::size_t i = 0; i < repeat; ++i) copy.insert(copy.end(), values.begin(), values.end());
  return copy;
}

class PreparedEpilogue {
 public:
  PreparedEpilogue() = default;
  /// With `repeat` the kernels may take so many neighbouring pixels as one of repeat*channels.
  PreparedEpilogue(const EpilogueParameters& p, std::size_t channels, std::string_view where, std::size_t repeat = 1)
      : alpha_(channel_values(p.alpha, channels, where, "alpha", repeat)),
        scale_(channel_values(p.scale, channels, where, "scale", repeat)),
        bias_(channel_values(p.bias, channels, where, "bias", repeat)),
        activation_(p.activation.kind),
        slope_(channel_values(p.activation.slope, channels, where, "slope", repeat)),
        shift_in_(channel_values(p.activation.shift_in, channels, where, "shift_in", repeat)),
        shift_out_(channel_values(p.activation.shift_out, channels, where, "shift_out", repeat)) {
    demand(scale_.empty() || !bias_.empty(), where, "a scale needs a bias");
    const bool has_slope = activation_ == kernels::ActivationKind::prelu || activation_ == kernels::ActivationKind::rprelu;
    const bool has_shifts = activation_ == kernels::ActivationKind::rprelu;
    demand(slope_.empty() != has_slope, where, has_slope ? "activation without a slope" : "slope without prelu or rprelu");
    demand(shift_in_.empty() != has_shifts && shift_out_.empty() != has_shifts, where,
           has_shifts ? "rprelu without both shifts" : "shifts without rprelu");
  }

  /// For the kernels, from channel `first` on; `residual` is the first pixel of the stretch, or null.
  [[nodiscard]] kernels::Epilogue at(const float* residual = nullptr, std::size_t first = 0) const noexcept {
    const auto pointer = [first](const AlignedVector<float>& v) { return v.empty() ? nullptr : v.data() + first; };
    return {pointer(alpha_), pointer(scale_), pointer(bias_),     residual,
            activation_,     pointer(slope_), pointer(shift_in_), pointer(shift_out_)};
  }
  /// Runs the kernel on dense pixels. Without per-channel parameters they are one long pixel, so few channels fill vectors too.
  void run(const kernels::KernelTable& kernels, const float* x, std::size_t pixels, std::size_t channels,
           float* out) const noexcept {
    const bool flat = alpha_.empty() && bias_.empty() && slope_.empty();
    const std::size_t count = flat ? 1 : pixels, each = flat ? pixels * channels : channels;
    kernels.epilogue(x, each, count, each, at(), out);
  }
  [[nodiscard]] bool has_activation() const noexcept { return activation_ != kernels::ActivationKind::none; }

 private:
  AlignedVector<float> alpha_, scale_, bias_;
  kernels::ActivationKind activation_ = kernels::ActivationKind::none;
  AlignedVector<float> slope_, shift_in_, shift_out_;
};

}  // namespace bimtdp::ops
